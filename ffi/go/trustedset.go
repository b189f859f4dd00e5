package tagtrust

// #include "glue.h"
import "C"

import (
	"io"
	"runtime"
	"time"
	"unsafe"
)

// TrustedSet is the trust data of one repository, from files that the caller
// fetched: verification without a trust directory and without a request.
//
//	set, err := tagtrust.NewTrustedSet("registry.example/team/app", root, nil)
//	...
//	defer set.Close()
//	for role := set.NextRole(); role != ""; role = set.NextRole() {
//		if err := set.AddRole(fetch(role)); err != nil { ... }
//	}
//	image, err := set.Verify("1.2")
//
// What was seen before is the caller's to know: of that, only known roots count
// here. An older timestamp that has not expired is accepted, and with it everything
// that was current then.
type TrustedSet struct {
	object    *object
	pointer   *C.tagtrust_trusted_set
	callbacks *callbacks
}

var _ io.Closer = (*TrustedSet)(nil)

// TrustedSetOptions say what is trusted. What is not set is as in [Options].
type TrustedSetOptions struct {
	// KnownRoots begin with the file of the root that was trusted before. If its keys
	// did not sign the new one too ([ErrRootNotTrusted]), all versions between the two
	// follow, oldest first: each must be signed by its own keys and those of the one
	// before, and all but the new one may have expired. Without any the pins alone
	// decide.
	KnownRoots [][]byte
	Pinning    *Pinning
	Policy     *Policy
	Clock      func() time.Time
}

// NewTrustedSet starts from the file of a root. Options may be nil.
func NewTrustedSet(repository string, root []byte, options *TrustedSetOptions) (*TrustedSet, error) {
	if options == nil {
		options = new(TrustedSetOptions)
	}
	callbacks := newCallbacks(options.Clock, nil)
	terms := Options{Pinning: options.Pinning, Policy: options.Policy, Clock: options.Clock}
	settings, err := terms.configure(callbacks)
	if err != nil {
		callbacks.free()
		return nil, err
	}
	defer settings.close()
	knownRoots, knownLengths, count := settings.files(options.KnownRoots)
	newRoot, length := file(root)
	var pointer *C.tagtrust_trusted_set
	var failure cError
	status := C.tagtrust_trusted_set_new(settings.config, settings.text(repository),
		knownRoots, knownLengths, count, newRoot, length, &pointer, &failure)
	if err := callbacks.explain(failed(status, failure), nil); err != nil {
		callbacks.free()
		return nil, err
	}
	free := func() {
		C.tagtrust_trusted_set_free(pointer)
		callbacks.free()
	}
	set := &TrustedSet{object: newObject(free), pointer: pointer, callbacks: callbacks}
	runtime.SetFinalizer(set, (*TrustedSet).Close)
	return set, nil
}

// Close frees the set once its calls have ended.
func (s *TrustedSet) Close() error {
	runtime.SetFinalizer(s, nil)
	s.object.close()
	return nil
}

// AddTimestamp adds the timestamp, which comes first. If it is refused the set
// stays as it was.
func (s *TrustedSet) AddTimestamp(timestamp []byte) error {
	bytes, length := file(timestamp)
	return s.add(func(failure *cError) cStatus {
		return C.tagtrust_trusted_set_add_timestamp(s.pointer, bytes, length, failure)
	})
}

// AddSnapshot adds the snapshot, which comes second. If it is refused the set stays
// as it was. One that names another root is refused: start anew with that root.
func (s *TrustedSet) AddSnapshot(snapshot []byte) error {
	bytes, length := file(snapshot)
	return s.add(func(failure *cError) cStatus {
		return C.tagtrust_trusted_set_add_snapshot(s.pointer, bytes, length, failure)
	})
}

// NextRole is the role whose file comes next: "timestamp", "snapshot", "targets",
// then delegations such as "targets/releases". Empty if the files are all there.
func (s *TrustedSet) NextRole() string {
	role, _ := s.nextRole()
	return role
}

func (s *TrustedSet) nextRole() (string, error) {
	defer runtime.KeepAlive(s)
	if err := s.object.use(); err != nil {
		return "", err
	}
	defer s.object.done()
	return C.GoString(C.tagtrust_trusted_set_next_role(s.pointer)), nil
}

// AddRole adds the file of the role that NextRole names, whichever that is. If it is
// refused the set stays as it was. A delegation that expired or is short of signatures
// is no error: it does not count.
func (s *TrustedSet) AddRole(role []byte) error {
	bytes, length := file(role)
	return s.add(func(failure *cError) cStatus {
		return C.tagtrust_trusted_set_add_role(s.pointer, bytes, length, failure)
	})
}

// AddAll adds the files of the roles that NextRole names, one after the other, for as
// long as they are there. Files that it does not name are passed over. If one is
// refused those before it stay, and its role comes next.
func (s *TrustedSet) AddAll(files map[string][]byte) error {
	for {
		role, err := s.nextRole()
		if err != nil {
			return err
		}
		file, found := files[role]
		if role == "" || !found {
			return nil
		}
		if err := s.AddRole(file); err != nil {
			// The file of another role, if another goroutine has added this one meanwhile.
			if next, closed := s.nextRole(); closed == nil && next != role {
				continue
			}
			return err
		}
	}
}

// Verify gives the image that the publisher signed for a tag, or for a whole
// reference to an image in this repository, as [Client.Verify] reads it. What has none
// of "/", ":" and "@" is a tag.
//
// All files must be there, and none may have expired since it was added. The image
// is not fresh: nobody was asked.
func (s *TrustedSet) Verify(referenceOrTag string) (*Image, error) {
	defer runtime.KeepAlive(s)
	if err := s.object.use(); err != nil {
		return nil, err
	}
	defer s.object.done()
	before := s.callbacks.failure.Load()
	a := answers.Get().(*answer)
	defer answers.Put(a)
	image, err := a.take(C.go_trusted_set_verify(address(s.pointer), a.ask(referenceOrTag), a.image))
	return image, s.callbacks.explain(err, before)
}

func (s *TrustedSet) add(call func(failure *cError) cStatus) error {
	defer runtime.KeepAlive(s)
	if err := s.object.use(); err != nil {
		return err
	}
	defer s.object.done()
	before := s.callbacks.failure.Load()
	var failure cError
	status := call(&failure)
	return s.callbacks.explain(failed(status, failure), before)
}

// file is where the bytes of a file are: NULL for nil, but not for an empty one.
func file(bytes []byte) (*C.uint8_t, C.size_t) {
	switch {
	case bytes == nil:
		return nil, 0
	case len(bytes) == 0:
		return new(C.uint8_t), 0
	default:
		return (*C.uint8_t)(unsafe.Pointer(&bytes[0])), C.size_t(len(bytes))
	}
}
