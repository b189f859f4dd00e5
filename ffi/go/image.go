package tagtrust

// #include "glue.h"
import "C"

import (
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Image is an image that its publisher signed.
type Image struct {
	// Repository is registry and repository, such as "docker.io/library/alpine".
	Repository string
	// Tag is the tag. For a reference by digest alone the first that has it.
	Tag string
	// Tags is one, or for a reference by digest alone all that count and have it,
	// in ascending order.
	Tags []string
	// Digest of the manifest or index: "sha256:" and 64 hex digits.
	Digest string
	// Size of the manifest or index in bytes.
	Size uint64
	// PinnedReference is repository@digest: what a runtime then pulls.
	PinnedReference string
	// Role that publishes the tag, such as "targets/releases" or "targets".
	Role string
	// Signers of this digest for this tag, in ascending order; none if only the
	// repository's owner signed it.
	Signers []string
	// Expires is until when this answer holds.
	Expires time.Time
	// Fresh is false if the server could not be asked and the cached timestamp served.
	Fresh bool
}

// answer is what one verification needs, used again by later ones.
type answer struct {
	text  []byte
	image *C.go_image
}

var answers = sync.Pool{New: func() any { return &answer{image: new(C.go_image)} }}

// question gives a text to C for one call.
func (a *answer) question(text string) *C.char {
	a.text = append(append(a.text[:0], unambiguous(text)...), 0)
	return (*C.char)(unsafe.Pointer(&a.text[0]))
}

// take takes over what a call answered.
func (a *answer) take(status cStatus) (*Image, error) {
	if status != C.TAGTRUST_OK {
		return nil, failed(status, C.go_image_error(a.image))
	}
	return takeImage(a.image), nil
}

// takeImage takes over what stands in `image`.
func takeImage(image *C.go_image) *Image {
	strings := &image.near[0]
	if image.far != 0 {
		strings = C.go_image_strings(image)
		defer C.go_image_clear(image)
	}
	// One copy: the strings of the image are parts of it.
	text := C.GoStringN(strings, C.int(image.length))
	next := func() (part string) {
		part, text = cut(text)
		return part
	}
	list := func(count C.size_t) []string {
		if count == 0 {
			return nil
		}
		list := make([]string, count)
		for index := range list {
			list[index] = next()
		}
		return list
	}
	return &Image{
		Size:            uint64(image.size),
		Expires:         time.Unix(int64(image.expires), 0).UTC(),
		Fresh:           bool(image.fresh),
		Repository:      next(),
		Tag:             next(),
		Digest:          next(),
		PinnedReference: next(),
		Role:            next(),
		Tags:            list(image.tags),
		Signers:         list(image.signers),
	}
}

// cut gives what stands before the first NUL, and after it.
func cut(text string) (before, after string) {
	end := strings.IndexByte(text, 0)
	return text[:end], text[end+1:]
}
