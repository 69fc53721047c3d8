package gen

import "strconv"

// Where the fields of a valid click stand in its value.
const (
	idStart = len(`{"event_id":"`)
	idEnd   = idStart + 36
	adStart = idEnd + len(`","ad_id":"`)
	prefix  = "ad" // of an ad's number
)

// timeDigits is the length of every time in ms between 2001 and 2286.
const timeDigits = 13

// users is how many people click; where each is and with what follows from the number.
const users = 1_000_000

var (
	countries = [16]string{"AU", "BR", "CA", "CN", "DE", "ES", "FR", "GB", "ID", "IN", "IT", "JP", "KR", "MX", "NG", "US"}
	devices   = [4]string{"android", "desktop", "ios", "tablet"}
)

// tailStart is where the fields after the time begin.
func (g *Generator) tailStart() int {
	return adStart + len(prefix) + g.digits + len(`","ts":`) + timeDigits + len(`,`)
}

// appendClick writes a click, spoilt in one member unless s is the sound one,
// and leaves its id and its user in the generator.
func (g *Generator) appendClick(b []byte, at int64, s *spoil) []byte {
	g.id = appendUUID(g.id[:0], g.random.Uint64(), g.random.Uint64())
	ad := uint64(g.ads.draw(g.random.Uint64())) + 1
	g.user = g.below(users)
	if s.part == whole {
		return append(b, s.text...)
	}
	b = append(b, '{')
	if s.part == idMember {
		b = append(b, s.text...)
	} else {
		b = append(b, `"event_id":"`...)
		b = append(b, g.id...)
		b = append(b, `",`...)
	}
	if s.part == adMember {
		b = append(b, s.text...)
	} else {
		b = append(b, `"ad_id":"`+prefix...)
		b = appendDigits(b, ad, g.digits)
		b = append(b, `",`...)
	}
	if s.part == timeMember {
		b = append(b, s.text...)
	} else {
		b = append(b, `"ts":`...)
		b = appendDigits(b, uint64(at), timeDigits)
		b = append(b, ',')
	}
	if s.part == tail {
		return append(b, s.text...)
	}
	return appendTail(b, g.user)
}

// appendTail writes the fields after the time; two users' tails differ.
func appendTail(b []byte, user uint64) []byte {
	b = append(b, `"user_id":"u`...)
	b = appendDigits(b, user, 7)
	home := user * 0x9e3779b97f4a7c15 // an odd multiplier spreads the users evenly
	b = append(b, `","ip":"10.`...)
	b = strconv.AppendUint(b, home>>56, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, home>>48&255, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, home>>40&255, 10)
	b = append(b, `","country":"`...)
	b = append(b, countries[home>>36&15]...)
	b = append(b, `","device":"`...)
	b = append(b, devices[home>>34&3]...)
	return append(b, `"}`...)
}

func appendDigits(b []byte, n uint64, digits int) []byte {
	at := len(b) + digits
	for range digits {
		b = append(b, '0')
	}
	for i := at - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// appendUUID writes 128 random bits as a UUID of version 4.
func appendUUID(b []byte, high, low uint64) []byte {
	high = high&^0xf000 | 0x4000
	low = low&^(3<<62) | 2<<62
	b = appendHex(b, high>>32, 8)
	b = appendHex(append(b, '-'), high>>16, 4)
	b = appendHex(append(b, '-'), high, 4)
	b = appendHex(append(b, '-'), low>>48, 4)
	return appendHex(append(b, '-'), low, 12)
}

// appendHex writes the lowest digits of n.
func appendHex(b []byte, n uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[n>>shift&15])
	}
	return b
}
