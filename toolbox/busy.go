package toolbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Process is a process in a toolbox other than its first.
type Process struct {
	PID     int
	Command string // its command line, cut; it comes from inside, so escape it
}

// inUse lists the processes in a toolbox other than its first: sessions, and the
// processes that they left.
func (m *Manager) inUse(b *Box) []Process {
	if !b.runs() {
		return nil
	}
	pids, _ := m.beside(b)
	var out []Process
	for _, pid := range pids {
		out = append(out, Process{pid, commandOf(pid)})
	}
	return out
}

// beside returns the processes of a running toolbox other than its first, and whether
// they can be known.
func (m *Manager) beside(b *Box) (pids []int, known bool) {
	s, err := m.state(b)
	if err != nil {
		return nil, false
	}
	held := s.Hold(b.PID)
	defer held.Close()
	return held.Others(b.PID)
}

// commandOf returns a process's command line, or its name if it has none.
func commandOf(pid int) string {
	const most = 60
	dir := "/proc/" + strconv.Itoa(pid)
	data, _ := os.ReadFile(dir + "/cmdline")
	text := string(bytes.TrimSpace(bytes.ReplaceAll(data, []byte{0}, []byte{' '})))
	if text == "" {
		data, _ = os.ReadFile(dir + "/comm")
		text = strings.TrimSpace(string(data))
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// inUseError is the refusal to end the sessions in a toolbox.
func inUseError(name Name, running []Process) *fail.Error {
	const most = 8
	var list []string
	for i, p := range running {
		if i == most {
			list = append(list, fmt.Sprintf("and %d more", len(running)-most))
			break
		}
		list = append(list, fmt.Sprintf("%s (process %d)", escape.Text(p.Command), p.PID))
	}
	return fail.New(nil, "toolbox %s is in use: %s", name, strings.Join(list, ", "))
}
