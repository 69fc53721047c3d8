package gen

import "github.com/clickagg/clickagg/internal/click"

// member is a part of a click's JSON that garbage replaces.
type member uint8

const (
	idMember   member = iota // `"event_id":"…",`
	adMember                 // `"ad_id":"…",`
	timeMember               // `"ts":…,`
	tail                     // the other fields and the closing brace
	whole                    // the whole record
	nothing                  // the click is sound
)

// spoil is one way for a click to be no click: what stands in the place of a
// member, and the only reason for which it may be refused.
type spoil struct {
	reason click.Reason
	part   member
	text   string
}

var sound = spoil{part: nothing}

// spoils are all kinds of garbage. None depends on a limit a user is likely to
// change, and none contains a line end, so that a file of events has one a line.
var spoils = []spoil{
	{click.Malformed, whole, `click`},
	{click.Malformed, whole, `["ad000001",1735689600000]`},
	{click.Malformed, tail, `"user_id":"u0000001","country":"D`},
	{click.Malformed, tail, `"user_id":"u0000001"}}`},
	{click.Malformed, tail, `"user_id":"u0000001",}`},
	{click.DuplicateKey, adMember, `"ad_id":"ad000001","ad_id":"ad000002",`},
	{click.DuplicateKey, adMember, `"ad_id":"ad000001","AD_ID":"ad000002",`},
	{click.BadText, adMember, "\"ad_id\":\"ad\xff\xfe01\","},
	{click.BadText, adMember, `"ad_id":"ad\u0000001",`},
	{click.BadText, idMember, `"event_id":"\ud800",`},
	{click.MissingField, idMember, ``},
	{click.MissingField, idMember, `"event_id":null,`},
	{click.MissingField, adMember, `"ad_id":"",`},
	{click.MissingField, timeMember, ``},
	{click.BadType, adMember, `"ad_id":false,`},
	{click.BadType, idMember, `"event_id":["a"],`},
	{click.BadType, timeMember, `"ts":true,`},
	{click.BadType, timeMember, `"ts":1.7356896e12,`},
	{click.BadTime, timeMember, `"ts":"yesterday",`},
	{click.BadTime, timeMember, `"ts":"2025-01-01T00:00:00",`},
	{click.BadTime, timeMember, `"ts":86400000,`},
	{click.Ahead, timeMember, `"ts":4070908800000,`},
	{click.TooLong, adMember, `"ad_id":"` + long + `",`},
	{click.TooDeep, tail, `"user_id":[[[[[[[[[[[[[[[[[[[[[[[["u"]]]]]]]]]]]]]]]]]]]]]]]]}`},
}

const long = "ad0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" +
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
