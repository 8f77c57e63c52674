package osupdate

import (
	"slices"
	"strings"
)

// Difference describes the changes from before to after on top of their images; empty if
// they are alike, or nothing is known.
func Difference(before, after *Deployment) string {
	var out []string
	say := func(what string, names []string) {
		if len(names) > 0 {
			out = append(out, what+" "+strings.Join(names, ", "))
		}
	}
	if was, now := before.Changes, after.Changes; was != nil && now != nil {
		on := func(c *Changes) []string { return slices.Concat(c.Layered, c.Local) }
		say("with", added(on(was), on(now)))
		say("without", added(on(now), on(was)))
		say("asked for and in the base already:", added(was.Inactive, now.Inactive))
		say("replaced in the base:", added(was.Replaced, now.Replaced))
		say("removed from the base:", added(was.Removed, now.Removed))
		say("from the base again:", added(slices.Concat(now.Replaced, now.Removed), slices.Concat(was.Replaced, was.Removed)))
		say("in the initramfs:", added(was.Files, now.Files))
		say("no more in the initramfs:", added(now.Files, was.Files))
		switch {
		case now.Initramfs && was.Initramfs:
			say("with the arguments of dracut", added(was.Dracut, now.Dracut))
			say("without the arguments of dracut", added(now.Dracut, was.Dracut))
		case now.Initramfs && !was.Initramfs:
			out = append(out, "with an initramfs of this host")
		case was.Initramfs && !now.Initramfs:
			out = append(out, "with the initramfs of the base")
		}
	}
	if before.Kargs != nil && after.Kargs != nil {
		say("kernel arguments added:", added(before.Kargs, after.Kargs))
		say("kernel arguments removed:", added(after.Kargs, before.Kargs))
	}
	return strings.Join(out, "; ")
}

// added returns the words of now that are not in was.
func added(was, now []string) []string {
	return slices.DeleteFunc(slices.Clone(now), func(n string) bool { return slices.Contains(was, n) })
}
