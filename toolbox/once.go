package toolbox

import (
	"os"
	"path/filepath"
)

// once makes a remark about a toolbox, if there is somebody to read it, and only for
// the first time since the boot. topic tells remarks apart.
func (p *Session) once(topic, text, hint string) {
	if p.opts.Remark == nil {
		return
	}
	dir := filepath.Join(p.host.TbxRuntime(), "said")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return
	}
	f, err := os.OpenFile(filepath.Join(dir, p.Record.ID+"."+topic), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil { // said, or it cannot be known
		return
	}
	f.Close()
	p.opts.Remark(text, hint)
}

// remark is once, each time.
func (p *Session) remark(text string) {
	if p.opts.Remark != nil {
		p.opts.Remark(text, "")
	}
}

// hostGroups gives numbers of the host's groups their names, where group(5) has them.
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
