//go:build !tagtrust_nosigning

package tagtrust

// #include "glue.h"
import "C"

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"runtime/cgo"
	"time"
	"unsafe"
)

// externalSigner is a private key of the user's.
type externalSigner struct {
	key   crypto.Signer
	owner *callbacks
}

// prepareSigning sets what only publishers need.
func (s *settings) prepareSigning(o *Options, callbacks *callbacks) {
	if o.Passphrase != nil {
		s.check("Passphrase", C.go_config_set_passphrase(s.config, C.uintptr_t(callbacks.handle)))
	}
	for _, key := range o.Signers {
		s.addSigner(key, callbacks)
	}
	for role, duration := range o.Expiry {
		s.check("Expiry", C.tagtrust_config_set_expiry(s.config, s.text(role), s.duration("Expiry", duration, time.Second)))
	}
	s.check("LocalSnapshot", C.tagtrust_config_set_local_snapshot(s.config, C.bool(o.LocalSnapshot)))
}

func (s *settings) addSigner(key crypto.Signer, callbacks *callbacks) {
	if key == nil {
		s.check("a nil in Signers", C.TAGTRUST_INVALID_CONFIGURATION)
		return
	}
	switch key.Public().(type) {
	case *ecdsa.PublicKey, *rsa.PublicKey:
	default:
		s.check(fmt.Sprintf("a key of type %T in Signers", key.Public()), C.TAGTRUST_INVALID_CONFIGURATION)
		return
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		s.check(fmt.Sprintf("a public key (%v)", err), C.TAGTRUST_INVALID_CONFIGURATION)
		return
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	handle := cgo.NewHandle(&externalSigner{key: key, owner: callbacks})
	callbacks.signers = append(callbacks.signers, handle)
	var failure cError
	s.checkError(C.go_config_add_signer(s.config, s.text(public), C.uintptr_t(handle), &failure), failure)
}

//export tagtrustGoPassphrase
func tagtrustGoPassphrase(
	handle C.uintptr_t, keyID, role *C.char, create C.bool, attempt C.uint32_t, buffer *C.char, capacity C.size_t,
) (length C.ptrdiff_t) {
	c := cgo.Handle(handle).Value().(*callbacks)
	length = -1
	defer c.recovered("Passphrase")
	passphrase, err := c.passphrase(PassphraseRequest{
		KeyID:   C.GoString(keyID),
		Role:    C.GoString(role),
		Create:  bool(create),
		Attempt: int(attempt),
	})
	return c.answer([]byte(passphrase), err, unsafe.Pointer(buffer), capacity)
}

//export tagtrustGoSign
func tagtrustGoSign(
	handle C.uintptr_t, message *C.uint8_t, length C.size_t, signature *C.uint8_t, capacity C.size_t,
) (written C.ptrdiff_t) {
	signer := cgo.Handle(handle).Value().(*externalSigner)
	written = -1
	defer signer.owner.recovered("a Signer")
	made, err := signer.sign(C.GoBytes(unsafe.Pointer(message), C.int(length)))
	return signer.owner.answer(made, err, unsafe.Pointer(signature), capacity)
}

func (s *externalSigner) sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	var options crypto.SignerOpts = crypto.SHA256
	if _, ok := s.key.Public().(*rsa.PublicKey); ok {
		options = &rsa.PSSOptions{SaltLength: len(digest), Hash: crypto.SHA256}
	}
	return s.key.Sign(rand.Reader, digest[:], options)
}

// answer writes what a callback gave to a buffer of the library's.
func (c *callbacks) answer(given []byte, err error, buffer unsafe.Pointer, capacity C.size_t) C.ptrdiff_t {
	switch {
	case err != nil:
		c.fail(err)
		return -1
	case C.size_t(len(given)) > capacity:
		c.fail(fmt.Errorf("tagtrust: a callback gave %d bytes, and at most %d are taken", len(given), capacity))
		return -1
	}
	copy(unsafe.Slice((*byte)(buffer), int(capacity)), given)
	return C.ptrdiff_t(len(given))
}
