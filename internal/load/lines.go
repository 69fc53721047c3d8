package load

import (
	"context"
	"errors"
	"io"
)

// Lines calls f for each line that is not blank of a file of JSON lines, plain, .gz or
// .zst; "-" is standard input. A line that cannot be read has an error. The value is a
// view that is valid during the call.
func Lines(ctx context.Context, file string, stdin io.Reader, f func(line int64, value []byte, err error)) error {
	in, err := open(file, stdin)
	if err != nil {
		return err
	}
	defer in.close()
	content, release, err := in.unpack(UnpackedMax)
	if err != nil {
		return err
	}
	defer release()
	from := jsonLines{newLines(content)}
	for ctx.Err() == nil {
		value, line, err := from.next()
		if _, bad := errors.AsType[*fault](err); err != nil && !bad {
			return notEnd(err, from.lines.number)
		}
		f(line, value, err)
	}
	return ctx.Err()
}
