package bridge

import (
	"io"
	"os"
	"testing"

	"github.com/creack/pty"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/hostbridge"
)

// A line that was typed before the question, for one before or by mistake, does not
// answer it.
func TestB18_TypedBeforeTheQuestion(t *testing.T) {
	for typed, want := range map[string]bool{"y\r": true, "\r": false} {
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(master, "y\r")
		shown, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			shown.Read(make([]byte, 4096)) // the question
			io.WriteString(master, typed)
		}()
		env := &cli.Env{In: slave, Err: out}
		if got := answer(env, hostbridge.Question{Box: "build", What: "id"}); got != want {
			t.Errorf("the answer %q counts as %v", typed, got)
		}
		for _, f := range []*os.File{shown, out, slave, master} {
			f.Close()
		}
	}
}
