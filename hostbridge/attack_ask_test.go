package hostbridge_test

import (
	"strings"
	"testing"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

func TestB18_QuestionsAreLimited(t *testing.T) {
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
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	b.Refused(t, 126, "id", strings.Repeat("x", 10_000))
	b.Output(t, "id", "-u")
}

// A toolbox sees the control socket, and may not answer its own question.
func TestB18_ToolboxCannotAnswer(t *testing.T) {
	b := bridgetest.Local(t, nil)
	l := b.Local
	cmd := l.InBox(l.Box, "control", l.Config.Dir())
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "turned away\n" {
		t.Errorf("%v %s", err, out)
	}
	if _, err := hostbridge.AskStatus(l.Config.Dir()); err != nil {
		t.Errorf("from the host: %v", err)
	}
}

func TestAskIsAnsweredByAPrompt(t *testing.T) {
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

func TestB18_QuestionIsEscaped(t *testing.T) {
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
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
	b.Local.WritePolicy("50.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\nremember = \"always\"\n")
	b.Output(t, "echo", "a\"b", "c")
	b.Local.Config.Ask = "no"
	b.Local.KillAgent()
	b.Local.StartAgent()
	b.Output(t, "echo", "a\"b", "c")
	b.Refused(t, 126, "echo", "other")
}
