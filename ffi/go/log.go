package tagtrust

// #include "glue.h"
import "C"

import (
	"sync"
	"sync/atomic"
)

// LogLevel is how much a message of the library matters.
type LogLevel int

// Levels, the gravest first.
const (
	LogError LogLevel = iota + 1
	LogWarn
	LogInfo
	LogDebug
	LogTrace
)

func (l LogLevel) String() string {
	names := []string{"error", "warn", "info", "debug", "trace"}
	if l < LogError || int(l) > len(names) {
		return "unknown"
	}
	return names[l-1]
}

// LogFunc gets a message, and the part of the library that it is from.
type LogFunc func(level LogLevel, target, message string)

var (
	logger  atomic.Pointer[LogFunc]
	setting sync.Mutex
)

// SetLog says where messages of the library go, for the whole process: those up to
// a level. Nil, as in the beginning: nowhere. It is called from any goroutine, several
// at once, and may be replaced at any time, but not from a callback.
func SetLog(level LogLevel, log LogFunc) error {
	if err := notInCallback(); err != nil {
		return err
	}
	setting.Lock()
	defer setting.Unlock()
	before := logger.Swap(&log)
	var failure cError
	err := failed(C.go_set_log(C.bool(log != nil), C.int(level), &failure), failure)
	if err != nil {
		logger.Store(before)
	}
	return err
}

//export tagtrustGoLog
func tagtrustGoLog(level C.int, target, message *C.char) {
	// A logger that panics must not end what the library is doing.
	defer func() { _ = recover() }()
	(*logger.Load())(LogLevel(level), C.GoString(target), C.GoString(message))
}
