package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// benchCase is one row, or a few, of the tables in issues 2 and 3.
type benchCase struct {
	name string
	run  func(*bench) error
}

var cases = []benchCase{
	{"run", runTrue},
	{"create", create},
	{"first", firstRun},
	{"ephemeral", ephemeral},
	{"enter", enter},
	{"list", list},
	{"snapshot", snapshots},
	{"throughput", throughput},
	{"memory", memory},
	{"edit", edit},
	{"declared", declared},
	{"bridge", bridge},
	{"pull", pull},
	{"from-pulled", fromPulled},
	{"images", imageList},
	{"host", hostStatus},
}

func runTrue(b *bench) error {
	if err := b.boxes(); err != nil {
		return err
	}
	tbx := timed("tbx", "run", tbxBox, "--", "true")
	toolbx := timed("toolbox", "run", "--container", toolbxBox, "true")
	dbox := timed("distrobox", "enter", dboxBox, "--", "true")
	podman := timed("podman", "exec", tbxBox, "true")
	s, err := inBatches(b.runs, 10, tbx, toolbx, dbox, podman)
	if err != nil {
		return err
	}
	row("`run true`, running", s[0].median(), "toolbox", s[1].median(), 1.0/30)
	compare("", s[0].median(), "distrobox", s[2].median())
	row("", s[0].median(), "podman exec", s[3].median(), 1.0/12)
	s, err = inTurn(b.runs/2, rested(tbx), rested(toolbx), rested(podman))
	if err != nil {
		return err
	}
	compare("the same, after a pause of 0.3 s", s[0].median(), "toolbox", s[1].median())
	compare("", s[0].median(), "podman exec", s[2].median())
	return nil
}

// boxes makes a running container of each tool, set up.
func (b *bench) boxes() error {
	steps := [][]string{}
	if !b.has(tbxBox) {
		steps = append(steps, []string{"tbx", "create", "--image", b.image, tbxBox})
	}
	if !b.has(toolbxBox) {
		steps = append(steps, []string{"toolbox", "--assumeyes", "create", "--image", b.image, toolbxBox})
	}
	if !b.has(dboxBox) {
		steps = append(steps, []string{"distrobox", "create", "--yes", "--image", b.image, "--name", dboxBox})
	}
	steps = append(steps,
		[]string{"tbx", "run", tbxBox, "--", "true"},
		[]string{"toolbox", "run", "--container", toolbxBox, "true"},
		[]string{"distrobox", "enter", dboxBox, "--", "true"})
	for _, s := range steps {
		if err := must(s[0], s[1:]...); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) has(name string) bool {
	return exec.Command("podman", "container", "exists", name).Run() == nil
}

// create measures containers from an image that is mapped already.
func create(b *bench) error {
	s, err := inTurn(b.slow,
		created("tbx", []string{"rm", "--force", tbxBox + "-c"}, "create", "--image", b.image, tbxBox+"-c"),
		created("toolbox", []string{"rm", "--force", toolbxBox + "-c"}, "--assumeyes", "create", "--image", b.image, toolbxBox+"-c"))
	if err != nil {
		return err
	}
	row("`create`, image mapped", s[0].median(), "toolbox", s[1].median(), 1)
	return nil
}

func created(tool string, remove []string, args ...string) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		d, err := timed(tool, args...)()
		try(tool, remove...)
		return d, err
	}
}

// firstRun measures the first command after create: start and set-up included.
// distrobox installs packages then, so it is run once.
func firstRun(b *bench) error {
	first := func(make, run, remove []string) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			defer try(remove[0], remove[1:]...)
			if err := must(make[0], make[1:]...); err != nil {
				return 0, err
			}
			return timed(run[0], run[1:]...)()
		}
	}
	t, x, d := tbxBox+"-f", toolbxBox+"-f", dboxBox+"-f"
	s, err := inTurn(b.slow,
		first([]string{"tbx", "create", "--image", b.image, t}, []string{"tbx", "run", t, "--", "true"}, []string{"tbx", "rm", "--force", t}),
		first([]string{"toolbox", "--assumeyes", "create", "--image", b.image, x}, []string{"toolbox", "run", "--container", x, "true"}, []string{"podman", "rm", "--force", x}))
	if err != nil {
		return err
	}
	row("first `run true` after create", s[0].median(), "toolbox", s[1].median(), 1.0/3)
	once, err := inTurn(1, first([]string{"distrobox", "create", "--yes", "--image", b.image, "--name", d}, []string{"distrobox", "enter", d, "--", "true"}, []string{"podman", "rm", "--force", d}))
	if err != nil {
		return err
	}
	row("", s[0].median(), "distrobox", once[0].median(), 1.0/20)
	return nil
}

// enter measures from the call to the first prompt on a terminal.
func enter(b *bench) error {
	if err := b.boxes(); err != nil {
		return err
	}
	s, err := inTurn(b.slow*2,
		toPrompt("tbx", "enter", tbxBox),
		toPrompt("toolbox", "enter", toolbxBox),
		toPrompt("bash", "-l"))
	if err != nil {
		return err
	}
	row("`enter` to the first prompt, running", s[0].median(), "toolbox", s[1].median(), 1.0/6)
	more := s[0].median() - s[2].median()
	fmt.Printf("| | %s | bash -l %s | +%s | +25 ms, %s |\n", ms(s[0].median()), ms(s[2].median()), ms(more), verdict(more <= 25*time.Millisecond))
	return nil
}

// list measures with 50 toolboxes that every tool can see.
func list(b *bench) error {
	const n = 50
	defer func() {
		for i := range n {
			try("tbx", "rm", "--force", fmt.Sprintf("%s-l%d", tbxBox, i))
		}
	}()
	for i := range n {
		if err := must("tbx", "create", "--image", b.image, fmt.Sprintf("%s-l%d", tbxBox, i)); err != nil {
			return err
		}
	}
	s, err := inTurn(b.slow*2, timed("tbx", "list"), timed("toolbox", "list", "--containers"))
	if err != nil {
		return err
	}
	row("`list` with 50 toolboxes", s[0].median(), "toolbox", s[1].median(), 1.0/3)
	return nil
}

// throughput pipes 1 GiB through cat, inside and on the host.
func throughput(b *bench) error {
	if err := b.boxes(); err != nil {
		return err
	}
	s, err := inTurn(b.slow, piped("tbx", "run", tbxBox, "--", "cat"), piped("cat"))
	if err != nil {
		return err
	}
	share := float64(s[1].median()) / float64(s[0].median())
	fmt.Printf("| 1 GiB through `run cat` | %s | cat %s | %.2f of its throughput | 0.90, %s |\n", rate(s[0].median()), rate(s[1].median()), share, verdict(share >= 0.9))
	return nil
}

const gib = 1 << 30

func rate(d time.Duration) string { return fmt.Sprintf("%.0f MiB/s", gib/(1<<20)/d.Seconds()) }

func piped(name string, args ...string) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		zero, err := os.Open("/dev/zero")
		if err != nil {
			return 0, err
		}
		defer zero.Close()
		in := exec.Command("head", "-c", fmt.Sprint(gib))
		in.Stdin = zero
		cmd := exec.Command(name, args...)
		cmd.Stderr = os.Stderr
		if cmd.Stdin, err = in.StdoutPipe(); err != nil {
			return 0, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return 0, err
		}
		start := time.Now()
		if err := in.Start(); err != nil {
			return 0, err
		}
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		n, err := io.Copy(io.Discard, out)
		took := time.Since(start)
		if err == nil && n != gib {
			err = fmt.Errorf("%d bytes came through, not %d", n, gib)
		}
		in.Wait()
		cmd.Wait()
		return took, err
	}
}

// memory is what an idle toolbox costs: the PSS of its processes, conmon apart.
func memory(b *bench) error {
	if err := b.boxes(); err != nil {
		return err
	}
	out, err := exec.Command("podman", "inspect", "--format", "{{.State.Pid}}", tbxBox).Output()
	if err != nil {
		return err
	}
	data, err := os.ReadFile("/proc/" + strings.TrimSpace(string(out)) + "/smaps_rollup")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(data), "Pss:")
	var kb int
	fmt.Sscan(rest, &kb)
	fmt.Printf("| memory of an idle toolbox (PSS) | %d kB | | | 2000 kB, %s |\n", kb, verdict(kb <= 2000))
	return nil
}
