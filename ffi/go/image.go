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
	question []byte
	image    *C.go_image
	// The strings of the last image: mostly they are the same again.
	text  string
	parts []string
}

var answers = sync.Pool{New: func() any { return &answer{image: new(C.go_image)} }}

// ask gives a text to C for one call.
func (a *answer) ask(text string) *C.char {
	a.question = append(append(a.question[:0], unambiguous(text)...), 0)
	return (*C.char)(unsafe.Pointer(&a.question[0]))
}

// take takes over what a call answered.
func (a *answer) take(status cStatus) (*Image, error) {
	if status != C.TAGTRUST_OK {
		return nil, failed(status, C.go_image_error(a.image))
	}
	a.split()
	// Most images have few tags and signers, which then need no memory of their own.
	whole := new(struct {
		Image
		few [3]string
	})
	image, names := &whole.Image, whole.few[:]
	image.Repository, image.Tag, image.Digest = a.parts[0], a.parts[1], a.parts[2]
	image.PinnedReference, image.Role = a.parts[3], a.parts[4]
	image.Size, image.Fresh = uint64(a.image.size), bool(a.image.fresh)
	image.Expires = time.Unix(int64(a.image.expires), 0).UTC()
	all, tags := len(a.parts)-5, int(a.image.tags)
	if all > len(names) {
		names = make([]string, all)
	}
	for index, name := range a.parts[5:] {
		names[index] = name
	}
	image.Tags = names[:tags:tags]
	if all > tags {
		image.Signers = names[tags:all:all]
	}
	return image, nil
}

// split reads the strings, which are the same part by part if they are as a whole.
func (a *answer) split() {
	start := &a.image.near[0]
	if a.image.far != 0 {
		start = C.go_image_strings(a.image)
		defer C.go_image_clear(a.image)
	}
	text := unsafe.Slice((*byte)(unsafe.Pointer(start)), int(a.image.length))
	if string(text) != a.text {
		a.text = string(text)
		a.parts = strings.Split(strings.TrimSuffix(a.text, "\x00"), "\x00")
	}
}
