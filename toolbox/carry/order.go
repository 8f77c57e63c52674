// Package carry brings the user's additions and changes from an old toolbox to a new one:
// files of /etc by a rule of three (the old image's, the user's, the new image's), whole
// directories, users and groups. It sees three running containers: the old toolbox, its
// unchanged image, and the new toolbox.
//
// It is part of tbx-box, called on the host as the root of podman's user namespace, and
// enters containers by /proc/PID/root, following no link that leads out of them. It
// imports the standard library, x/sys and treecopy only. It changes the new toolbox only.
package carry

import (
	"encoding/json"
	"fmt"
	"io"
)

// Order is the request. Paths are absolute, as inside.
type Order struct {
	Old  int `json:"old"`  // number of the old toolbox's first process, on the host
	Base int `json:"base"` // of its image's first process
	New  int `json:"new"`

	Dry   bool     `json:"dry,omitempty"`   // only report
	Rule  []string `json:"rule,omitempty"`  // files and directories by the rule of three
	Whole []string `json:"whole,omitempty"` // directories whose contents come along unless the new toolbox has them
	// patterns of path.Match: without "/" of names; with "/" at the end, and all that is below
	Skip     []string          `json:"skip,omitempty"`
	Defaults map[string]string `json:"defaults,omitempty"` // ALGORITHM:HEX of a file as its package brought it
	Owned    []string          `json:"owned,omitempty"`    // files of packages, which are skipped
	Users    bool              `json:"users,omitempty"`    // and groups, with their homes
	Look     bool              `json:"look,omitempty"`     // list what stays behind
	Texts    []Text            `json:"texts,omitempty"`    // files to write, replacing existing ones
	Read     []string          `json:"read,omitempty"`     // patterns of files of the old toolbox and its image to return
	Find     *Find             `json:"find,omitempty"`     // name what the user put into it, and take nothing
	// Pack are paths of the old toolbox to write as an archive, in the place of an answer.
	Pack []string `json:"pack,omitempty"`
}

// Text is a file.
type Text struct {
	Path string `json:"path"`
	Text string `json:"text"`
	Base bool   `json:"base,omitempty"` // the image's, in an answer
	Same bool   `json:"same,omitempty"` // the image has it so, in an answer
}

// The results.
const (
	Taken   = "taken"   // the new toolbox has it as the old one had
	Beside  = "beside"  // both changed: the new one stays, with the user's beside it (or so planned)
	Removed = "removed" // removed, as the user had done
	Stays   = "stays"   // the user had removed it; the new one differs and stays
	Lost    = "lost"    // it could not come along; Note says why
	Left    = "left"    // it is in no package and in no directory that comes along
)

// Item is one thing that was found, with its result.
type Item struct {
	Kind string `json:"kind"` // file, directory, user or group
	Name string `json:"name"`
	What string `json:"what"`
	Note string `json:"note,omitempty"`
}

// Beside is the ending of the user's file beside the new toolbox's.
const besideEnding = ".tbx-old"

// Answer is the output of Serve.
type Answer struct {
	Items []Item  `json:"items,omitempty"`
	Texts []Text  `json:"texts,omitempty"` // what was to be read
	Found []Found `json:"found,omitempty"`
	Error string  `json:"error,omitempty"`
}

// Serve reads one order as JSON, carries it out, and answers as JSON.
func Serve(in io.Reader, out io.Writer) error {
	var o Order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("carry: the order: %w", err)
	}
	var a Answer
	w, err := open(&o)
	if err == nil && len(o.Pack) > 0 {
		defer w.close()
		return w.pack(out)
	}
	if err == nil {
		err = w.run()
		a.Items, a.Texts, a.Found = w.items, w.texts, w.found
		w.close()
	}
	if err != nil {
		a.Error = err.Error()
	}
	return json.NewEncoder(out).Encode(a)
}
