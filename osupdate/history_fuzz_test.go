package osupdate

import (
	"encoding/json"
	"testing"
)

func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"op":"1","phase":"begin","request":{"verb":"upgrade"}}` + "\n" + `{"op":"1","phase":"end","outcome":"done","content":"x"}` + "\n{\"op\":\"2\",\"pha"))
	f.Fuzz(func(t *testing.T, in []byte) {
		entries := parseHistory(in)
		var again []byte
		for _, e := range entries {
			line, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			again = append(append(again, line...), '\n')
		}
		if n := len(parseHistory(again)); n != len(entries) {
			t.Errorf("%d entries written, %d read", len(entries), n)
		}
		if e := interrupted(entries); e != nil && e.Phase != "begin" {
			t.Errorf("interrupted by its end: %+v", e)
		}
		unbooted(entries, "boot", (&State{Deployments: []Deployment{{ID: "x", Booted: true}}}).Arrange())
		chosen(entries, now{boot: "boot"}, "x")
	})
}
