package tagtrust

/*
#cgo !tagtrust_static pkg-config: tagtrust
#cgo tagtrust_static LDFLAGS: -l:libtagtrust.a -lutil -lrt -lpthread -lm -ldl
#cgo tagtrust_noserver CFLAGS: -DTAGTRUST_NO_SERVER
#cgo tagtrust_nosigning CFLAGS: -DTAGTRUST_NO_SIGNING
#include "glue.h"
*/
import "C"

// Version of the library that is loaded, such as "0.1.0".
func Version() string {
	return C.GoString(C.tagtrust_version())
}
