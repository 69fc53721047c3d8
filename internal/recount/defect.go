package recount

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// defect is a panic in a goroutine that works for another one: whoever asked has to know, and may be able to live with it.
type defect string

func (d defect) Error() string { return string(d) }

// caught, deferred, makes an error of a panic.
func caught(err *error) {
	if v := recover(); v != nil {
		*err = defect(fmt.Sprintf("%v\n%s", v, debug.Stack()))
	}
}

// rethrow panics with an error that is a defect.
func rethrow(err error) {
	if d, ok := errors.AsType[defect](err); ok {
		panic(string(d))
	}
}
