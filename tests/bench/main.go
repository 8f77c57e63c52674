// Command bench measures tbx beside Debian's toolbox and distrobox and beside
// podman exec, in one run and in turn, and prints medians, ratios and the targets
// they are held against. It asserts nothing: machines differ. See run and
// docs/performance.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

func main() {
	image := flag.String("image", "", "image that every tool makes its container from")
	runs := flag.Int("runs", 30, "runs of each quick command")
	slow := flag.Int("slow-runs", 5, "runs of each slow command")
	registry := flag.String("registry", "", "HOST:PORT of a registry on loopback that podman takes without TLS, for the cases about images")
	inside := flag.Bool("inside", false, "measure the bridge, in the toolbox that the bench has started this in")
	only := flag.String("only", "", "only the cases whose name holds one of these words, with commas between them")
	flag.Parse()
	if *inside {
		if err := insideMain(*runs); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			os.Exit(1)
		}
		return
	}
	if *image == "" {
		fmt.Fprintln(os.Stderr, "bench: -image is missing")
		os.Exit(2)
	}
	b := &bench{image: *image, runs: *runs, slow: *slow, registry: *registry}
	fmt.Printf("| what | tbx | peer | ratio | target |\n|---|---|---|---|---|\n")
	for _, c := range cases {
		if !slices.ContainsFunc(strings.Split(*only, ","), func(word string) bool { return strings.Contains(c.name, word) }) {
			continue
		}
		if err := c.run(b); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", c.name, err)
			os.Exit(1)
		}
	}
}

type bench struct {
	image      string
	runs, slow int
	registry   string
}

// boxes of the bench, one for each tool.
const (
	tbxBox    = "bench-tbx"
	toolbxBox = "bench-toolbx"
	dboxBox   = "bench-dbox"
)

// must runs a command for its effect.
func must(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// try runs a command that may fail, such as the removal of what is not there.
func try(name string, args ...string) { _ = exec.Command(name, args...).Run() }

// series are the durations of one command.
type series []time.Duration

func (s series) median() time.Duration {
	s = slices.Clone(s)
	slices.Sort(s)
	return s[len(s)/2]
}

// inTurn runs the commands in turn, n times each, so that a machine that
// becomes busy is busy for all, and returns the durations of each.
func inTurn(n int, commands ...func() (time.Duration, error)) ([]series, error) {
	out := make([]series, len(commands))
	for range n {
		for i, c := range commands {
			d, err := c()
			if err != nil {
				return nil, err
			}
			out[i] = append(out[i], d)
		}
	}
	return out, nil
}

// inBatches is inTurn with the same command size times in succession, as in a
// loop of a script: what one command leaves behind in the system (podman's
// clean-up, a kernel's grace period) is not charged to another.
func inBatches(n, size int, commands ...func() (time.Duration, error)) ([]series, error) {
	out := make([]series, len(commands))
	for done := 0; done < n; done += size {
		for i, c := range commands {
			s, err := inTurn(size, c)
			if err != nil {
				return nil, err
			}
			out[i] = append(out[i], s[0]...)
		}
	}
	return out, nil
}

// rested measures a command on a machine that has just done nothing for a while.
func rested(c func() (time.Duration, error)) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		time.Sleep(300 * time.Millisecond)
		return c()
	}
}

// timed measures a whole command.
func timed(name string, args ...string) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		cmd := exec.Command(name, args...)
		start := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
		}
		return time.Since(start), nil
	}
}

// row prints one comparison; target is the most that tbx/peer may be.
func row(what string, tbx time.Duration, peer string, other time.Duration, target float64) {
	ratio := float64(tbx) / float64(other)
	fmt.Printf("| %s | %s | %s %s | %s | %s, %s |\n", what, ms(tbx), peer, ms(other), fraction(ratio), fraction(target), verdict(ratio <= target))
}

// verdict says whether a target was met.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// compare prints one comparison that has no target.
func compare(what string, tbx time.Duration, peer string, other time.Duration) {
	fmt.Printf("| %s | %s | %s %s | %s | |\n", what, ms(tbx), peer, ms(other), fraction(float64(tbx)/float64(other)))
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// fraction writes a small ratio as 1/N.
func fraction(r float64) string {
	if r < 0.5 {
		return fmt.Sprintf("1/%.0f", 1/r)
	}
	return fmt.Sprintf("%.2f", r)
}
