package day

import (
	"strings"
	"testing"
)

func TestJobs(t *testing.T) {
	jobs, err := Jobs()
	if err != nil {
		t.Fatal(err)
	}
	short := 0
	for _, j := range jobs {
		if j.Short {
			short++
		}
		if j.Script == "" {
			t.Errorf("job %s does nothing", j.Name)
		}
		if j.Differs != "" && !strings.Contains(j.Differs, "docs/") {
			t.Errorf("job %s differs, and names no document that says why", j.Name)
		}
	}
	if len(jobs) < 100 || short < 50 {
		t.Errorf("%d jobs, %d of them short: want 100 and 50", len(jobs), short)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"## name\n", "## a: b\n# color: red\n", "## a: b\n# terminal: \\q\n"} {
		if jobs, err := parse(text); err == nil {
			t.Errorf("%q is taken: %+v", text, jobs)
		}
	}
}
