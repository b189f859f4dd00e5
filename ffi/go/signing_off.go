//go:build tagtrust_nosigning

package tagtrust

// #include "glue.h"
import "C"

func (s *settings) prepareSigning(o *Options, _ *callbacks) {
	if o.Passphrase != nil || o.Signers != nil || o.Expiry != nil || o.LocalSnapshot {
		s.check("an option for signing", C.TAGTRUST_INVALID_CONFIGURATION)
	}
}
