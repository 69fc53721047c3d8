package config

import "testing"

func TestJudging(t *testing.T) {
	t.Parallel()
	values := Default().Judging()
	for _, key := range judging {
		if _, ok := values[key]; !ok {
			t.Errorf("%s judges clicks and is no key", key)
		}
	}
	if values["watermark.delay"] != "15s" || len(values) != len(judging) {
		t.Errorf("%v", values)
	}
}
