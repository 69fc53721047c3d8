package filter

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// Error is a mistake in a predicate.
type Error struct {
	Line, Column int    // from 1, in characters
	Message      string // what is wrong, in one line
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// mistake makes the error of a node of the predicate's tree.
func (c *compiler) mistake(at ast.Node, format string, args ...any) error {
	e := &Error{Line: 1, Column: 1, Message: fmt.Sprintf(format, args...)}
	for i, r := range []rune(c.text) {
		if i == at.Location().From {
			break
		}
		if e.Column++; r == '\n' {
			e.Line, e.Column = e.Line+1, 1
		}
	}
	return e
}

// fromParser makes the parser's error ours.
func fromParser(err error) error {
	if e, ok := errors.AsType[*file.Error](err); ok {
		return &Error{Line: max(e.Line, 1), Column: e.Column + 1, Message: e.Message}
	}
	return &Error{Line: 1, Column: 1, Message: err.Error()}
}
