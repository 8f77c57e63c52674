package main

import "strings"

// What the owner does with all that is in a toolbox: new settings, copies, and the way back. The files in it are the
// adversary's, and are changed meanwhile.

// keepsake is the snapshot that the owner goes back to.
const keepsake = "keepsake"

// attempt runs tbx and counts, as an act of its own, that it was refused: what runs afterwards decides what the toolbox is
// good for.
func (s *siege) attempt(what string, args ...string) bool {
	_, code := s.tbx(args...)
	if code != 0 {
		s.log.count(s.log.acts, what+" itself (refused)")
	}
	return code == 0
}

// runs is whether a toolbox that was changed is one still.
func (s *siege) runs(b *box) int {
	_, code := s.tbx("run", b.name, "--", "true")
	return code
}

// edit changes settings; what is in the toolbox goes into another container. Now and then it is taken back.
func edit(s *siege, b *box) int {
	settings := [][]string{
		{"--env", "SIEGE_EDIT=1"}, {"--no-env", "SIEGE_EDIT"}, {"--hostname", "besieged"}, {"--no-hostname"},
		{"--shm-size", "32m"}, {"--pids-limit", "2000"}, {"--undo"},
	}
	args := append([]string{"edit", "--yes"}, settings[s.rand.IntN(len(settings))]...)
	if s.rand.IntN(3) > 0 {
		args = append(args, "--force")
	} else {
		args = append(args, "--when-idle")
	}
	s.attempt("edit", append(args, b.name)...)
	return s.runs(b)
}

// snapshot keeps what is in the toolbox.
func snapshot(s *siege, b *box) int {
	s.tbx("snapshot", "rm", "--yes", b.name, keepsake)
	s.attempt("snapshot", "snapshot", "create", b.name, keepsake)
	return s.runs(b)
}

// rollback makes the toolbox what it was, if something was kept.
func rollback(s *siege, b *box) int {
	s.attempt("rollback", "snapshot", "rollback", "--yes", "--force", b.name, keepsake)
	return s.runs(b)
}

// clone makes another toolbox of what is in this one, uses it and removes it.
func clone(s *siege, b *box) int {
	other := b.name + "-clone"
	s.naming.Lock()
	s.fresh()
	made := s.attempt("clone", "clone", "--yes", b.name, other)
	s.naming.Unlock()
	if made {
		s.attempt("run in a clone", "run", other, "--", "true")
	}
	if out, code := s.tbx("rm", "--force", "--yes", other); code != 0 && (made || !strings.Contains(out, "there is no toolbox")) {
		s.log.find("a clone cannot be removed", "tbx rm --force %s: exit code %d: %s", other, code, out)
	}
	return s.runs(b)
}
