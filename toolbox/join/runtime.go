package join

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// RuntimeState names the file with an OCI runtime's state of one container, and the
// runtime that defines its format.
type RuntimeState struct{ Runtime, Path string }

// runtimeStatus is the part of that file that tbx uses.
type runtimeStatus struct {
	pid       int
	startTime uint64 // clock ticks after boot
	hasCgroup bool
}

// FindState looks for the state of the container id, run by the OCI runtime (a name or a
// path as podman reports it), in runtimeDir. The formats are not a stable interface:
// those of crun 1.8 to 1.21 and runc 1.1 were checked; others are unknown here and give
// ErrStale.
func FindState(runtime, runtimeDir, id string) (RuntimeState, error) {
	s := RuntimeState{Runtime: filepath.Base(runtime)}
	switch {
	case strings.HasPrefix(s.Runtime, "crun"):
		s.Runtime, s.Path = "crun", filepath.Join(runtimeDir, "crun", id, "status")
	case strings.HasPrefix(s.Runtime, "runc"):
		s.Runtime, s.Path = "runc", filepath.Join(runtimeDir, "runc", id, "state.json")
	default:
		return s, fmt.Errorf("%w: the runtime %s is not known to tbx", ErrStale, s.Runtime)
	}
	_, err := s.read()
	return s, err
}

func (s RuntimeState) read() (runtimeStatus, error) {
	data, err := os.ReadFile(s.Path)
	if err != nil {
		return runtimeStatus{}, fmt.Errorf("%w: %w", ErrStale, err)
	}
	var st runtimeStatus
	switch s.Runtime {
	case "crun":
		var v struct {
			PID       int    `json:"pid"`
			StartTime uint64 `json:"process-start-time"`
			Cgroup    string `json:"cgroup-path"`
		}
		err = json.Unmarshal(data, &v)
		st = runtimeStatus{v.PID, v.StartTime, v.Cgroup != ""}
	case "runc":
		var v struct {
			PID         int               `json:"init_process_pid"`
			StartTime   uint64            `json:"init_process_start"`
			CgroupPaths map[string]string `json:"cgroup_paths"`
		}
		err = json.Unmarshal(data, &v)
		st = runtimeStatus{v.PID, v.StartTime, len(v.CgroupPaths) > 0}
	}
	if err != nil || st.pid <= 0 || st.startTime == 0 {
		return st, fmt.Errorf("%w: %s cannot be read", ErrStale, s.Path)
	}
	return st, nil
}

// Containers lists the containers whose state a runtime left in runtimeDir: the first
// processes of the running ones, and the ids of the ended ones.
func Containers(runtimeDir string) (running map[string]int, ended []string) {
	running = map[string]int{}
	for _, runtime := range []string{"crun", "runc"} {
		dirs, _ := os.ReadDir(filepath.Join(runtimeDir, runtime)) // not there: it has started none
		for _, dir := range dirs {
			s, err := FindState(runtime, runtimeDir, dir.Name())
			if err != nil {
				continue
			}
			if st, err := s.read(); err == nil && s.Alive(st.pid) {
				running[dir.Name()] = st.pid
			} else {
				ended = append(ended, dir.Name())
			}
		}
	}
	return running, ended
}

// HasCgroup reports whether the runtime gave the container a cgroup of its own.
func (s RuntimeState) HasCgroup() (bool, error) {
	st, err := s.read()
	return st.hasCgroup, err
}

// Alive reports whether pid is the container's first process, and runs. The number alone
// may belong to another process by now.
func (s RuntimeState) Alive(pid int) bool {
	st, err := s.read()
	if err != nil || st.pid != pid {
		return false
	}
	start, err := StartTime(pid)
	return err == nil && start == st.startTime
}
