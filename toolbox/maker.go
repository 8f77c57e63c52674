package toolbox

import (
	"context"
	"errors"
	"path"
	"slices"

	"github.com/tbx-project/tbx/internal/fail"
)

// Maker is another program that makes toolboxes.
type Maker string

// The makers whose toolboxes are listed, entered and adopted.
const (
	Toolbx    Maker = "toolbx"
	Distrobox Maker = "distrobox"
	Apx       Maker = "apx" // it calls distrobox
)

// labelManager is the label of containers of distrobox and apx.
const labelManager = "manager"

// String is the maker's name in a sentence.
func (k Maker) String() string {
	if k == Toolbx {
		return "Toolbx"
	}
	return string(k)
}

// removal returns the maker's own call to remove a toolbox.
func (k Maker) removal(name Name) string {
	switch k {
	case Distrobox:
		return "distrobox rm " + string(name)
	case Apx:
		return "apx subsystems rm --name " + subsystem(name)
	}
	return "toolbox rm " + string(name)
}

// Maker returns the other program that made the container, or "". Labels are not enough,
// because every container has those of its image. distrobox mounts its programs, which no
// image can imitate; only an inspected container shows that.
func (c *Container) Maker() Maker {
	if c.Labels[LabelToolbx] == "true" && len(c.Command) > 0 && path.Base(c.Command[0]) == "toolbox" {
		return Toolbx
	}
	k := Maker(c.Labels[labelManager])
	if k != Distrobox && k != Apx || distroboxArgs(c.Command) == nil {
		return ""
	}
	if !slices.ContainsFunc(c.Mounts, func(mt Mapping) bool { return slices.Contains(distroboxPrograms, mt.Target) }) {
		return ""
	}
	return k
}

// Maker returns the other program that made the toolbox; "" for tbx.
func (b *Box) Maker() Maker {
	if b.Managed() {
		return ""
	}
	return b.Container.Maker()
}

// distroboxPrograms are where distrobox mounts its programs.
var distroboxPrograms = []string{"/usr/bin/entrypoint", "/usr/bin/distrobox-host-exec", "/usr/bin/distrobox-export"}

// distroboxArgs parses the arguments of distrobox's first process, which hold all of its
// settings: options by their names, and under "" the hook. nil: not distrobox.
func distroboxArgs(command []string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(command); i++ {
		switch command[i] {
		case "--name", "--user", "--group", "--home", "--init", "--nvidia", "--pre-init-hooks", "--additional-packages":
			if i+1 < len(command) {
				out[command[i][2:]] = command[i+1]
				i++
			}
		case "--":
			for _, word := range command[i+1:] {
				if out[""] != "" {
					out[""] += " "
				}
				out[""] += word
			}
			i = len(command)
		}
	}
	for _, name := range []string{"name", "user", "home"} {
		if out[name] == "" {
			return nil
		}
	}
	return out
}

// foreign returns the toolboxes of makers without Toolbx's label, which all does not
// contain.
func foreign(ctx context.Context, e Engine, all []Container) ([]Container, error) {
	managed, err := e.Labelled(ctx, labelManager)
	if err != nil {
		return nil, err
	}
	var out []Container
	for i := range managed {
		c := &managed[i]
		if distroboxArgs(c.Command) == nil || slices.ContainsFunc(all, func(o Container) bool { return o.ID == c.ID && o.Maker() != "" }) {
			continue
		}
		seen, err := e.Inspect(ctx, c.ID)
		if errors.Is(err, fail.NotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if seen.Maker() != "" {
			out = append(out, *seen)
		}
	}
	return out, nil
}

// foreignError refuses an operation that tbx does only on its own toolboxes.
func foreignError(b *Box, what string) *fail.Error {
	return fail.New(fail.Unable, "toolbox %s was made by %s, and tbx %s", b.Name, b.Maker(), what).
		Hint("see how tbx could take it over: tbx adopt --dry-run %s", b.Name)
}
