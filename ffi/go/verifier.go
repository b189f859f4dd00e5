package tagtrust

import "context"

// Verifier is what code needs that pulls, admits or runs images: a container
// runtime's hook, an admission webhook, an image puller. A [*Client] is one.
type Verifier interface {
	// Verify gives the image that the publisher signed for a reference, or says why
	// it must not be used.
	Verify(ctx context.Context, reference string) (*Image, error)
}

var _ Verifier = (*Client)(nil)

// Pin gives what to pull in place of a reference: repository@digest, with the
// digest that the publisher signed.
func Pin(ctx context.Context, verifier Verifier, reference string) (string, error) {
	image, err := verifier.Verify(ctx, reference)
	if err != nil {
		return "", err
	}
	return image.PinnedReference, nil
}
