package main

import (
	"strings"
	"testing"

	"github.com/tbx-project/tbx/completion"
)

func TestCompletionScripts(t *testing.T) {
	for _, shell := range completion.Shells() {
		want, err := script(shell)
		if err != nil {
			t.Fatal(err)
		}
		have := completion.Script(shell)
		if have != string(want) {
			t.Errorf("completion/%s is not what is generated; run: go generate ./cmd/gen", completion.File(shell))
		}
		if !strings.Contains(have, "__complete") {
			t.Errorf("the script of %s asks nothing", shell)
		}
	}
}
