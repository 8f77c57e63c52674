// Package day holds everyday jobs, as short shell scripts in jobs/, and compares what
// they do in a toolbox with what they do in a plain Debian root.
//
// A file of jobs has one job after another:
//
//	## NAME: what it is
//	# packages: PACKAGE…        Debian's packages that it needs
//	# short                     belongs to the half that make test runs
//	# terminal: KEYS            runs on a terminal, where KEYS are typed (\e \r \xNN)
//	# differs: REASON           the toolbox does something else, and docs say why
//	# may differ: REASON        it depends on the host whether it does
//	the script, for bash -eu, in an empty directory below the home
//
// A script prints what must be the same on both sides, and leaves nothing running.
package day

import (
	"bufio"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed jobs/*.sh
var files embed.FS

// Job is one everyday job.
type Job struct {
	Name, Title string
	Packages    []string // of Debian
	Short       bool
	Terminal    bool
	Keys        string // typed on the terminal
	Differs     string // why the toolbox does something else; empty: it may not
	Perhaps     bool   // Differs is so on some hosts only
	Script      string
}

// Jobs returns all jobs in the order of the files' names, and of each file.
func Jobs() ([]Job, error) {
	names, err := fs.Glob(files, "jobs/*.sh")
	if err != nil {
		return nil, err
	}
	var jobs []Job
	seen := map[string]bool{}
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		more, err := parse(string(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, j := range more {
			if seen[j.Name] {
				return nil, fmt.Errorf("%s: job %s exists twice", name, j.Name)
			}
			seen[j.Name] = true
		}
		jobs = append(jobs, more...)
	}
	return jobs, nil
}

func parse(text string) ([]Job, error) {
	var jobs []Job
	var script strings.Builder
	finish := func() {
		if len(jobs) > 0 {
			jobs[len(jobs)-1].Script = strings.TrimSpace(script.String())
		}
		script.Reset()
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if head, ok := strings.CutPrefix(line, "## "); ok {
			finish()
			name, title, ok := strings.Cut(head, ": ")
			if !ok {
				return nil, fmt.Errorf("%q has no title", line)
			}
			jobs = append(jobs, Job{Name: name, Title: title})
			continue
		}
		if len(jobs) == 0 {
			continue // the comment at the head of the file
		}
		if setting, ok := strings.CutPrefix(line, "# "); ok && script.Len() == 0 {
			if err := jobs[len(jobs)-1].set(setting); err != nil {
				return nil, err
			}
			continue
		}
		script.WriteString(line + "\n")
	}
	finish()
	return jobs, lines.Err()
}

func (j *Job) set(setting string) error {
	key, value, _ := strings.Cut(setting, ": ")
	switch key {
	case "packages":
		j.Packages = strings.Fields(value)
	case "short":
		j.Short = true
	case "terminal":
		keys, err := unescape(value)
		if err != nil {
			return fmt.Errorf("job %s: %w", j.Name, err)
		}
		j.Terminal, j.Keys = true, keys
	case "differs", "may differ":
		j.Differs, j.Perhaps = value, key == "may differ"
	default:
		return fmt.Errorf("job %s: there is no setting %q", j.Name, key)
	}
	return nil
}

func unescape(keys string) (string, error) {
	return strconv.Unquote(`"` + strings.ReplaceAll(keys, `\e`, `\x1b`) + `"`)
}
