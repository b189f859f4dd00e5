package tagtrust

// #include "glue.h"
import "C"

import (
	"errors"
	"fmt"
)

// Status is the class of an error: one for each thing that a caller would do
// differently. The classes are errors themselves, for errors.Is:
//
//	errors.Is(err, tagtrust.ErrTagNotSigned)
//
// Numbers and names are those of the library, in all its languages. New ones may come.
type Status int

// Mistakes of the caller.
const (
	// ErrInvalidReference: the image reference cannot be read.
	ErrInvalidReference Status = C.TAGTRUST_INVALID_REFERENCE
	// ErrInvalidConfiguration: an option cannot be used.
	ErrInvalidConfiguration Status = C.TAGTRUST_INVALID_CONFIGURATION
	// ErrInvalidArgument: an argument is not UTF-8 or holds a NUL, or a callback
	// used the client that called it.
	ErrInvalidArgument Status = C.TAGTRUST_INVALID_ARGUMENT
	// ErrInvalidInput: a name, key, file or value that was given cannot be used.
	ErrInvalidInput Status = C.TAGTRUST_INVALID_INPUT
)

// Refusals: the image is not trusted.
const (
	// ErrNoTrustData: the trust server has nothing for this repository.
	ErrNoTrustData Status = C.TAGTRUST_NO_TRUST_DATA
	// ErrTagNotSigned: the repository is signed, this tag (or digest) in it is not.
	ErrTagNotSigned Status = C.TAGTRUST_TAG_NOT_SIGNED
	// ErrDigestMismatch: the reference has a tag and a digest, and the publisher
	// signed another digest.
	ErrDigestMismatch Status = C.TAGTRUST_DIGEST_MISMATCH
	// ErrExpired: trust data is past its expiry.
	ErrExpired Status = C.TAGTRUST_EXPIRED
	// ErrRolledBack: the server offers older trust data than was seen before.
	ErrRolledBack Status = C.TAGTRUST_ROLLED_BACK
	// ErrTampered: trust data is not what its signers published.
	ErrTampered Status = C.TAGTRUST_TAMPERED
	// ErrRootNotTrusted: a root does not match the pins, or does not follow from
	// the known root.
	ErrRootNotTrusted Status = C.TAGTRUST_ROOT_NOT_TRUSTED
	// ErrPolicyViolation: correctly signed, but not by the signers that were required.
	ErrPolicyViolation Status = C.TAGTRUST_POLICY_VIOLATION
)

// It could not be decided.
const (
	// ErrUnreachable: the trust server gave no usable answer.
	ErrUnreachable Status = C.TAGTRUST_UNREACHABLE
	// ErrUnauthorized: the trust server wants other credentials.
	ErrUnauthorized Status = C.TAGTRUST_UNAUTHORIZED
	// ErrStoreError: the trust directory cannot be read or written, or is damaged.
	ErrStoreError Status = C.TAGTRUST_STORE_ERROR
)

// It could not be published.
const (
	// ErrKeyNotFound: no private key at hand may sign for a role.
	ErrKeyNotFound Status = C.TAGTRUST_KEY_NOT_FOUND
	// ErrWrongPassphrase: a private key could not be decrypted, or a new one has no
	// acceptable passphrase.
	ErrWrongPassphrase Status = C.TAGTRUST_WRONG_PASSPHRASE
	// ErrConflict: what was to be published contradicts what others have published
	// meanwhile.
	ErrConflict Status = C.TAGTRUST_CONFLICT
	// ErrServerRejected: the trust server refused an upload or another request to
	// change something.
	ErrServerRejected Status = C.TAGTRUST_SERVER_REJECTED
)

// ErrInternalError is a defect of the library. Nothing was trusted.
const ErrInternalError Status = C.TAGTRUST_INTERNAL

// ErrClosed is the error of what is used after it was closed.
var ErrClosed = errors.New("tagtrust: used after it was closed")

// Name of the class, such as "TagNotSigned"; empty for an unknown number.
func (s Status) Name() string {
	return C.GoString(C.tagtrust_status_name(C.int(s)))
}

// IsRefusal is true for "not trusted", and false where there is no answer.
func (s Status) IsRefusal() bool {
	return 10 <= s && s < 30
}

func (s Status) Error() string {
	if name := s.Name(); name != "" {
		return "tagtrust: " + name
	}
	return fmt.Sprintf("tagtrust: status %d", int(s))
}

// Error says why a call failed.
type Error struct {
	// Status is its class.
	Status Status
	// Message says what happened and where: role, key IDs, what was expected and
	// found. One line of English for people, not for programs.
	Message string
	// Cause is the error or panic of a callback of the same client during the call.
	Cause error
}

// Name of the class, such as "TagNotSigned".
func (e *Error) Name() string { return e.Status.Name() }

// IsRefusal is true if the answer is "not trusted", and false if there is no answer.
func (e *Error) IsRefusal() bool { return e.Status.IsRefusal() }

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Is makes errors.Is find the class.
func (e *Error) Is(target error) bool { return target == error(e.Status) }

// As makes errors.As find the class.
func (e *Error) As(target any) bool {
	status, ok := target.(*Status)
	if ok {
		*status = e.Status
	}
	return ok
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// failed takes over the error of a call that ended with this status.
func failed(status cStatus, object cError) error {
	if status == C.TAGTRUST_OK {
		return nil
	}
	err := &Error{Status: Status(status), Message: Status(status).Error()}
	if object != nil {
		err.Message = C.GoString(C.tagtrust_error_message(object))
		C.tagtrust_error_free(object)
	}
	return err
}
