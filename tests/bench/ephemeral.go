package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ephemeral measures a container for one command, from the call to the command and to the
// end, when nothing is left. distrobox installs packages in each, so it is run once.
func ephemeral(b *bench) error {
	tbx := []string{"tbx", "run", "--ephemeral", "--image", b.image}
	podman := []string{"podman", "run", "--rm", "--privileged", "--pid=host", "--net=host", "--userns=keep-id", b.image}
	dbox := []string{"distrobox", "ephemeral", "--yes", "--image", b.image, "--"}
	s, err := inTurn(b.slow, toCommand(tbx), toCommand(podman))
	if err != nil {
		return err
	}
	const target = 400 * time.Millisecond
	fmt.Printf("| ephemeral, to the command | %s | podman run --rm %s | %s | %s, %s |\n", ms(s[0].median()), ms(s[1].median()),
		fraction(float64(s[0].median())/float64(s[1].median())), ms(target), verdict(s[0].median() <= target))
	whole := func(call []string) func() (time.Duration, error) {
		return timed(call[0], append(call[1:len(call):len(call)], "true")...)
	}
	if s, err = inTurn(b.slow, whole(tbx), whole(podman)); err != nil {
		return err
	}
	compare("the whole", s[0].median(), "podman run --rm", s[1].median())
	once, err := whole(dbox)()
	if err != nil {
		return err
	}
	compare("", s[0].median(), "distrobox ephemeral", once)
	return nil
}

// toCommand measures until the command runs, which tells the time.
func toCommand(call []string) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		begin := time.Now()
		out, err := exec.Command(call[0], append(call[1:len(call):len(call)], "date", "+%s%N")...).Output()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", strings.Join(call, " "), err)
		}
		at, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		if err != nil {
			return 0, err
		}
		return time.Unix(0, at).Sub(begin), nil
	}
}
