package tagtrust

// #include "glue.h"
import "C"

import (
	"fmt"
	"math"
	"runtime/cgo"
	"sync/atomic"
	"time"
)

// callbacks are functions of the user's that the library calls.
type callbacks struct {
	clock      func() time.Time
	passphrase func(PassphraseRequest) (string, error)
	// How the library knows these, and the signers.
	handle  cgo.Handle
	signers []cgo.Handle
	// What went wrong last in one of them.
	failure atomic.Pointer[error]
}

func newCallbacks(clock func() time.Time, passphrase func(PassphraseRequest) (string, error)) *callbacks {
	c := &callbacks{clock: clock, passphrase: passphrase}
	c.handle = cgo.NewHandle(c)
	return c
}

// free is for when the library does not call any more.
func (c *callbacks) free() {
	c.handle.Delete()
	for _, signer := range c.signers {
		signer.Delete()
	}
}

func (c *callbacks) fail(err error) { c.failure.Store(&err) }

// recovered must be deferred: a panic becomes a failure, because it must not go
// through the library.
func (c *callbacks) recovered(what string) {
	if reason := recover(); reason != nil {
		c.fail(fmt.Errorf("tagtrust: panic in %s: %v", what, reason))
	}
}

// explain adds to the error of a call what went wrong in a callback since `before`.
func (c *callbacks) explain(err error, before *error) error {
	if of, ok := err.(*Error); ok {
		if failure := c.failure.Load(); failure != before {
			of.Cause = *failure
		}
	}
	return err
}

// notInCallback is for functions that start others and wait: the library sees what
// is called from a callback only if it is on the same thread.
func notInCallback() error {
	if C.go_in_callback() {
		return &Error{Status: ErrInvalidArgument, Message: "invalid argument: this function was called from a callback"}
	}
	return nil
}

//export tagtrustGoClock
func tagtrustGoClock(handle C.uintptr_t) (seconds C.int64_t) {
	c := cgo.Handle(handle).Value().(*callbacks)
	// When nobody can say what time it is, everything has expired.
	seconds = math.MaxInt64
	defer c.recovered("Clock")
	return C.int64_t(c.clock().Unix())
}
