package host

import (
	"sync"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/osupdate"
)

// hostProgress shows each task of the updater as a stage, with its progress.
func hostProgress(env *cli.Env) func(osupdate.Progress) {
	var mu sync.Mutex // updaters write to two pipes
	task := ""
	return func(p osupdate.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Task != task {
			task = p.Task
			env.Progress().Stage(progressText(p))
			return
		}
		env.Progress().Update(progressText(p))
	}
}

// progressText returns "pulling: ##..................  34.0 MB of 340.0 MB", or "import:
// 3 of 7", or the known part of it.
func progressText(p osupdate.Progress) string {
	count := func(n int64) string {
		if p.Bytes {
			return bytesize.Text(n)
		}
		return cli.Itoa(n)
	}
	switch {
	case p.Total <= 0 && p.Done <= 0:
		return p.Task
	case p.Total <= 0:
		return p.Task + ": " + count(p.Done)
	case p.Total == 100 && !p.Bytes:
		return p.Task + ": " + cli.Bar(p.Done, p.Total) + "  " + cli.Itoa(p.Done) + " %"
	}
	return p.Task + ": " + cli.Bar(p.Done, p.Total) + "  " + count(p.Done) + " of " + count(p.Total)
}
