package hostbridge_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

func TestB18_QuestionsAreLimited(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "no" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	for i := range 5 {
		msg := b.Refused(t, 126, "id")
		if tooMany := strings.Contains(msg, "too many"); tooMany != (i >= 3) {
			t.Errorf("question %d: %s", i, msg)
		}
	}
	answers := ""
	for _, r := range b.Local.Audit() {
		answers += r.Answer + ","
	}
	if answers != "no,no,no,too many,too many," {
		t.Errorf("audit: %s", answers)
	}
}

func TestB18_LongQuestionIsNotAsked(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	b.Refused(t, 126, "id", strings.Repeat("x", 10_000))
	b.Output(t, "id", "-u")
}

// A toolbox sees the control socket, and may not answer its own question.
func TestB18_ToolboxCannotAnswer(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	l := b.Local
	cmd := l.InBox(l.Box, "control", l.Config.Dir())
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "turned away\n" {
		t.Errorf("%v %s", err, out)
	}
	if _, err := hostbridge.AskStatus(context.Background(), l.Config.Dir()); err != nil {
		t.Errorf("from the host: %v", err)
	}
}

func TestAskIsAnsweredByAPrompt(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\nremember = \"session\"\n")
	if msg := b.Refused(t, 126, "echo", "x"); !strings.Contains(msg, "tbx agent --prompt") || !strings.Contains(msg, "tbx policy allow web -- echo") {
		t.Errorf("nobody to ask: %s", msg)
	}
	asked := make(chan hostbridge.Question, 8)
	go hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), func(q hostbridge.Question) bool {
		asked <- q
		return q.What != `echo "\x1b[2J\u202e"`
	})
	bridgetest.Eventually(t, "the prompt is attached", func() bool {
		out, _ := b.Client("echo", "a b").CombinedOutput()
		return strings.Contains(string(out), "a b")
	})
	q := <-asked
	if q.Box != "web" || q.What != `echo "a b"` || !strings.HasSuffix(q.Rule, "1.toml:1") {
		t.Errorf("question %+v", q)
	}
	b.Output(t, "echo", "a b") // remembered
	if len(asked) != 0 {
		t.Error("asked again")
	}
	b.Local.KillAgent() // forgets the rate too
	b.Local.StartAgent()
}

// An answer that is remembered is for these arguments, and for none that only
// look the same.
func TestB18_RememberedForTheVeryArguments(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\nremember = \"session\"\n")
	answers := map[string]bool{`echo "a\nb"`: true, `echo "a\xff"`: true}
	asked := make(chan string, 64)
	go hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), func(q hostbridge.Question) bool {
		asked <- q.What
		return answers[q.What]
	})
	bridgetest.Eventually(t, "the prompt is attached", func() bool { return b.Client("echo", "a\nb").Run() == nil })
	<-asked
	b.Output(t, "echo", "a\nb")
	if len(asked) != 0 {
		t.Error("it was asked again")
	}
	for _, other := range []string{`a\nb`, "a\xfe"} {
		b.Local.KillAgent() // it forgets how often it has asked, and who is to be asked
		b.Local.StartAgent()
		go hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), func(q hostbridge.Question) bool {
			asked <- q.What
			return answers[q.What]
		})
		like := map[string]string{`a\nb`: "a\nb", "a\xfe": "a\xff"}[other]
		bridgetest.Eventually(t, "the prompt is attached", func() bool { return b.Client("echo", like).Run() == nil })
		b.Refused(t, 126, "echo", other)
	}
}

func TestB18_QuestionIsEscaped(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\n")
	asked := make(chan hostbridge.Question, 8)
	attached := make(chan struct{})
	go func() {
		close(attached)
		hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), func(q hostbridge.Question) bool { asked <- q; return false })
	}()
	<-attached
	bridgetest.Eventually(t, "the question arrives", func() bool {
		b.Refused(t, 126, "echo", "\x1b[2J\u202e\n\"")
		return len(asked) > 0
	})
	if q := <-asked; q.What != `echo "\x1b[2J\u202e\n\""` {
		t.Errorf("question %q", q.What)
	}
}

func TestRememberAlwaysWritesARule(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
	b.Local.WritePolicy("50.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\nremember = \"always\"\n")
	b.Output(t, "echo", "a\"b", "c")
	b.Local.Config.Ask = "no"
	b.Local.KillAgent()
	b.Local.StartAgent()
	b.Output(t, "echo", "a\"b", "c")
	b.Refused(t, 126, "echo", "other")
}

// An answer that comes too late answers nothing: not the question that it was
// for, nor the next.
func TestB18_LateAnswer(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\n")
	late := make(chan bool)
	asked := make(chan hostbridge.Question, 8)
	answer := func(q hostbridge.Question) bool {
		asked <- q
		return <-late
	}
	go hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), answer)
	var first *exec.Cmd
	bridgetest.Eventually(t, "the question is put", func() bool {
		first = b.Client("echo", "first")
		if err := first.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { first.Wait(); close(done) }()
		select {
		case <-asked:
			return true
		case <-done: // nobody was there yet
			return false
		}
	})
	first.Process.Kill() // the question is void now, as after its minute
	bridgetest.Eventually(t, "the agent gave it up", func() bool {
		recs := b.Local.Audit()
		return len(recs) > 0 && recs[len(recs)-1].Answer == "none"
	})
	go hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), answer)
	late <- true // for the first
	second := b.Client("echo", "second")
	var out bytes.Buffer
	second.Stdout = &out
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { second.Wait(); close(done) }()
	select {
	case q := <-asked:
		if !strings.Contains(q.What, "second") {
			t.Errorf("asked %+v", q)
		}
		late <- false
		<-done
	case <-done:
	}
	if second.ProcessState.ExitCode() != 126 || out.Len() != 0 {
		t.Errorf("%v, output %q", second.ProcessState, out.String())
	}
}

// A question shows where a command would run and what the toolbox gives it, and an
// answer that is remembered is for that.
func TestB18_DirectoryIsPartOfTheAnswer(t *testing.T) {
	t.Parallel()
	for remember, restart := range map[string]bool{"session": false, "always": true} {
		b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
		l := b.Local
		l.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"pwd\"\naction = \"ask\"\nremember = \""+remember+"\"\n")
		for _, d := range []string{"a", "b"} {
			os.Mkdir(filepath.Join(b.Shared, d), 0o700)
		}
		os.Symlink("a", filepath.Join(b.Shared, "link"))
		for _, step := range []struct {
			dir, asked string
		}{{"a", "a"}, {"a", ""}, {"link", ""}, {"b", "b"}, {"a", ""}, {"b", ""}} {
			if restart { // nothing but the rules is left
				l.RestartAgent()
			}
			cmd := b.Client("pwd", "-P")
			cmd.Env = append(cmd.Env, "TBX_TEST_CWD="+filepath.Join(b.Shared, step.dir))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			q := l.Questions()
			if len(q) != len(step.asked) || len(q) == 1 && q[0].Dir != filepath.Join(b.Shared, step.asked) {
				t.Errorf("%s, in %s: asked %+v", remember, step.dir, q)
			}
		}
	}
}

// While the owner thinks, another directory is put under the name that was shown.
func TestB18_DirectorySwapped(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"pwd\"\naction = \"ask\"\n")
	good, evil := filepath.Join(b.Shared, "good"), filepath.Join(b.Shared, "evil")
	os.Mkdir(good, 0o700)
	os.Mkdir(evil, 0o700)
	go hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), func(q hostbridge.Question) bool {
		os.Rename(good, good+".was")
		os.Symlink("evil", good)
		return q.Dir == good
	})
	var out []byte
	bridgetest.Eventually(t, "the question is put", func() bool {
		cmd := b.Client("pwd", "-P")
		cmd.Env = append(cmd.Env, "TBX_TEST_CWD="+good)
		out, _ = cmd.CombinedOutput()
		return !strings.Contains(string(out), "nobody can be asked")
	})
	if !strings.Contains(string(out), "not shared") || strings.Contains(string(out), "evil\n") {
		t.Errorf("%s", out)
	}
}

// So do the values of variables that the rule lets through.
func TestB18_VariablesArePartOfTheAnswer(t *testing.T) {
	t.Parallel()
	for remember, restart := range map[string]bool{"session": false, "always": true} {
		b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
		l := b.Local
		l.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"sh\"\naction = \"ask\"\nenv = [\"MODE\", \"OTHER\"]\nremember = \""+remember+"\"\n")
		for _, step := range []struct {
			mode  string
			asked []string
		}{{"1", []string{`"MODE=1"`}}, {"1", nil}, {"2", []string{`"MODE=2"`}}, {"", []string{}}, {"2", nil}, {"", nil}} {
			if restart {
				l.RestartAgent()
			}
			cmd := b.Client("--env", "MODE", "--env", "OTHER", "sh", "-c", "echo $MODE$OTHER")
			if b.Setenv(cmd, "OTHER="); step.mode != "" {
				b.Setenv(cmd, "MODE="+step.mode)
			}
			if out, err := cmd.Output(); err != nil || string(out) != step.mode+"\n" {
				t.Fatalf("%v %s", err, out)
			}
			q := l.Questions()
			if (len(q) == 1) != (step.asked != nil) || len(q) == 1 && !slices.Equal(q[0].Vars, step.asked) {
				t.Errorf("%s, MODE=%s: asked %+v", remember, step.mode, q)
			}
		}
	}
}

// A rule that is edited to ask each time asks also about what was answered before.
func TestB18_RememberIsTakenBack(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
	const rule = "[[rule]]\nbox = \"web\"\nexec = \"true\"\naction = \"ask\"\n"
	b.Local.WritePolicy("1.toml", rule+"remember = \"session\"\n")
	b.Output(t, "true")
	b.Output(t, "true")
	b.Local.WritePolicy("1.toml", rule)
	b.Output(t, "true")
	if q := b.Local.Questions(); len(q) != 2 {
		t.Errorf("asked %+v", q)
	}
}

// Two toolboxes ask in one terminal: the one that is not answered takes nothing from
// the other.
func TestB21_QuestionsOfSeveralToolboxes(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	l := b.Local
	l.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\n")
	const second = "ba9876543210"
	other := l.StartBox(second)
	if err := l.Ensure(second, nil); err != nil {
		t.Fatal(err)
	}
	put, answer := make(chan string, 8), make(chan bool)
	go hostbridge.Prompt(t.Context(), l.Config.Dir(), func(q hostbridge.Question) bool {
		put <- q.What
		return <-answer
	})
	var first *exec.Cmd
	bridgetest.Eventually(t, "the first question is put", func() bool {
		first = b.Client("echo", "first")
		if err := first.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { first.Wait(); close(done) }()
		select {
		case q := <-put:
			return q == "echo first"
		case <-done:
			return false
		}
	})
	client := l.InBox(other, "client", "echo", "second")
	b.Setenv(client, "TBX_BRIDGE="+hostbridge.BoxDir(l.Config.Dir(), second))
	var out bytes.Buffer
	client.Stdout = &out
	said, err := client.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	if line := make([]byte, 64); true {
		if n, _ := said.Read(line); !strings.Contains(string(line[:n]), "waiting for an answer") {
			t.Fatalf("%s", line[:n])
		}
	}
	answer <- false
	if q := <-put; q != "echo second" {
		t.Fatalf("asked %s", q)
	}
	answer <- true
	if client.Wait(); out.String() != "second\n" {
		t.Errorf("%v %q", client.ProcessState, out.String())
	}
}
