package filter

import (
	"fmt"
	"testing"
)

// BenchmarkMatch asks filters by country and device, of which every eighth asks
// something else as well where it says mixed.
func BenchmarkMatch(b *testing.B) {
	countries := []string{"KR", "US", "JP", "DE", "FR", "BR", "IN", "GB", "IT", "ES", "MX", "CA", "AU", "SE", "NO", "PL"}
	devices := []string{"mobile", "desktop", "tablet", "tv"}
	more := []string{
		` and ip in cidr("10.0.0.0/8", "192.168.0.0/16")`, ` and user_agent contains "Chrome"`, ` and lower(user_agent) startsWith "moz"`,
		` and clicks > 3`, ` and ad_id startsWith "shoe"`, ` and ip not in cidr("10.0.0.0/8")`, ` and price < 2`, ` and user_agent matches "iPhone|Android"`,
	}
	for _, kind := range []string{"simple", "mixed"} {
		for _, n := range []int{1, 8, 63} {
			var defs []Definition
			for i := range n {
				where := fmt.Sprintf("country == %q and device == %q", countries[i%16], devices[i/16])
				if i%8 == 0 && kind == "mixed" {
					where = `device in ["mobile", "tv"]` + more[i/8]
				}
				defs = append(defs, Definition{ID: fmt.Sprintf("f%02d", i), Where: where})
			}
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				s, err := NewSet(defs, some)
				if err != nil {
					b.Fatal(err)
				}
				f := s.NewFields()
				fill(s, f, click1)
				b.ReportAllocs()
				for b.Loop() {
					for i := range f.cells {
						f.cells[i].small, f.cells[i].asked = false, false
					}
					s.Match(f)
				}
			})
		}
	}
}
