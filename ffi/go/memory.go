package tagtrust

// #include "glue.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// Types that stand in many signatures.
type (
	cClient = *C.tagtrust_client
	cError  = *C.tagtrust_error
	cStatus = C.tagtrust_status
)

// object is something of the C library's, which is freed when it was closed and
// the last call that uses it has ended.
type object struct {
	// Calls that use it, and one more until it is closed.
	users  atomic.Int64
	closed atomic.Bool
	free   func()
}

func newObject(free func()) *object {
	o := &object{free: free}
	o.users.Store(1)
	return o
}

// use keeps it until done is called.
func (o *object) use() error {
	for {
		users := o.users.Load()
		if users == 0 || o.closed.Load() {
			return ErrClosed
		}
		if o.users.CompareAndSwap(users, users+1) {
			return nil
		}
	}
}

func (o *object) done() {
	if o.users.Add(-1) == 0 {
		o.free()
	}
}

func (o *object) close() {
	if o.closed.CompareAndSwap(false, true) {
		o.done()
	}
}

// address of an object of the library's.
func address[T any](object *T) C.uintptr_t { return C.uintptr_t(uintptr(unsafe.Pointer(object))) }

// arguments are strings and arrays in C's memory, for one call.
type arguments struct {
	texts  []*C.char
	arrays []unsafe.Pointer
}

// free wipes them: there may be a passphrase among them.
func (a *arguments) free() {
	for _, text := range a.texts {
		C.go_wipe_and_free(text)
	}
	for _, array := range a.arrays {
		C.free(array)
	}
}

func (a *arguments) text(text string) *C.char {
	copied := C.CString(unambiguous(text))
	a.texts = append(a.texts, copied)
	return copied
}

// optional is NULL for the empty string.
func (a *arguments) optional(text string) *C.char {
	if text == "" {
		return nil
	}
	return a.text(text)
}

func (a *arguments) array(texts []string) (**C.char, C.size_t) {
	if len(texts) == 0 {
		return nil, 0
	}
	return a.pointers(len(texts), func(index int) *C.char { return a.text(texts[index]) }), C.size_t(len(texts))
}

func (a *arguments) pointers(count int, at func(index int) *C.char) **C.char {
	first, array := allocate[*C.char](a, count)
	for index := range array {
		array[index] = at(index)
	}
	return first
}

// files are NULL, without lengths, if there are none.
func (a *arguments) files(files [][]byte) (**C.uint8_t, *C.size_t, C.size_t) {
	if len(files) == 0 {
		return nil, nil, 0
	}
	first, array := allocate[*C.uint8_t](a, len(files))
	length, lengths := allocate[C.size_t](a, len(files))
	for index, file := range files {
		copied := C.CBytes(file)
		a.arrays = append(a.arrays, copied)
		array[index], lengths[index] = (*C.uint8_t)(copied), C.size_t(len(file))
	}
	return first, length, C.size_t(len(files))
}

func allocate[T any](a *arguments, count int) (*T, []T) {
	array := C.calloc(C.size_t(count), C.size_t(unsafe.Sizeof(*new(T))))
	a.arrays = append(a.arrays, array)
	return (*T)(array), unsafe.Slice((*T)(array), count)
}

// unambiguous gives the text. C would see a text with a NUL cut short: for such a
// one it gives what is not UTF-8, which every function of the library refuses.
func unambiguous(text string) string {
	if strings.IndexByte(text, 0) >= 0 {
		return "\xff"
	}
	return text
}

// decode reads JSON of the library's.
func decode(bytes []byte, value any) error {
	if err := json.Unmarshal(bytes, value); err != nil {
		return &Error{Status: ErrInternalError, Message: fmt.Sprintf("the library's JSON cannot be read: %v", err)}
	}
	return nil
}

// whole gives a duration in units, rounded up: what is not zero does not become so.
func whole(duration, unit time.Duration) (C.uint64_t, error) {
	if duration < 0 {
		return 0, &Error{Status: ErrInvalidInput, Message: fmt.Sprintf("the duration %v is negative", duration)}
	}
	units := duration / unit
	if duration%unit != 0 {
		units++
	}
	return C.uint64_t(units), nil
}
