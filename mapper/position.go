package mapper

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper/rule"
)

// position is what is committed beside a source's offset: how its next owner goes on.
type position struct {
	topic click.TopicID // the incarnation the offset belongs to
	rules string        // fingerprint of the rules the owner judges by
	term  int64         // the owner's; each one's is above those before it
	// ended says that the owner ended in order: nobody has sent the shards anything of
	// offsets beyond, and nobody will but a later owner.
	ended bool
	state rule.State
}

var endedWords = map[bool]string{false: "open", true: "ended"}

// encode writes the position as text of about 500 bytes at most: the topic's id, the
// rules' fingerprint, the term, "open" or "ended", and the state, with slashes between.
func (p *position) encode() string {
	return fmt.Sprintf("%x/%s/%d/%s/%s", p.topic, p.rules, p.term, endedWords[p.ended], p.state.Encode())
}

var errPosition = errors.New("not a mapper's position as this program writes it")

// decodePosition reads what encode wrote.
func decodePosition(text string) (p position, err error) {
	f := strings.SplitN(text, "/", 5)
	if len(f) != 5 {
		return p, errPosition
	}
	id, err := hex.DecodeString(f[0])
	if err != nil || len(id) != len(p.topic) {
		return p, errPosition
	}
	copy(p.topic[:], id)
	p.rules, p.ended = f[1], f[3] == endedWords[true]
	if p.term, err = strconv.ParseInt(f[2], 10, 64); err != nil || p.term < 0 || f[3] != endedWords[p.ended] {
		return p, errPosition
	}
	if p.state, err = rule.DecodeState(f[4]); err != nil {
		return p, fmt.Errorf("%w: %w", errPosition, err)
	}
	return p, nil
}
