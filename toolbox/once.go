package toolbox

import (
	"os"
	"path/filepath"
)

// once prints a remark about a toolbox, if anybody reads it, and only once a boot. topic
// identifies the remark.
func (p *Session) once(topic, text, hint string) {
	if p.opts.Remark == nil {
		return
	}
	dir := filepath.Join(p.host.TbxRuntime(), "said")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return
	}
	f, err := os.OpenFile(filepath.Join(dir, p.Record.ID+"."+topic), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil { // printed already, or unknown
		return
	}
	f.Close()
	p.opts.Remark(text, hint)
}

// remark prints it each time.
func (p *Session) remark(text string) {
	if p.opts.Remark != nil {
		p.opts.Remark(text, "")
	}
}

// hostGroups returns the names of the host's groups by number, if group(5) has them.
func hostGroups(numbers []string) []string {
	names := make([]string, 0, len(numbers))
	for _, number := range numbers {
		if entry := entryOf("/etc/group", 2, number); entry != nil {
			number = entry[0]
		}
		names = append(names, number)
	}
	return names
}
