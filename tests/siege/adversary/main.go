// Adversary is the program inside in tests/siege: it tries to get out of the toolbox that it runs in, and reports what it
// could do and should not be able to. All that it does is bounded in time and number.
//
//	siege attack -seed N -steps N [-only WORD]   random attempts, one after the other, the same ones for the same seed
//	siege probe                                  looks at what can be seen, and changes nothing: for an ordinary toolbox
//
// Called by any other name or otherwise, it is a plant: somebody else has started it. It says where it is and what it
// can do, and then plays the program in whose place it is. On the host a plant does nothing but report.
package main

import (
	"flag"
	"os"
	"path/filepath"
	"time"

	"github.com/tbx-project/tbx/tests/siege/pack"
)

var (
	config *pack.Config
	secret string // beginning of every secret
)

func main() {
	var err error
	if config, err = pack.Own(); err != nil {
		os.Stderr.WriteString("siege: " + err.Error() + "\n")
		os.Exit(125)
	}
	secret = string(pack.Invert(config.Prefix))
	if filepath.Base(os.Args[0]) != "siege" || len(os.Args) < 2 {
		plant()
		return
	}
	switch os.Args[1] {
	case "probe":
		look()
		probe()
	case "attack":
		flags := flag.NewFlagSet("attack", flag.ExitOnError)
		seed := flags.Uint64("seed", 1, "")
		steps := flags.Int("steps", 100, "")
		only := flags.String("only", "", "")
		flags.Parse(os.Args[2:])
		if !inside() { // the boundary failed in a way that nobody thought of: do no harm
			report(pack.Found, "an attack began outside of a toolbox", where())
			return
		}
		os.Setenv("SIEGE_EVIL", config.Evil)
		look()
		attack(*seed, *steps, *only)
	case "child": // one attempt, in a process of its own
		os.Setenv("SIEGE_EVIL", config.Evil)
		child(os.Args[2:])
	default:
		plant()
	}
}

// inside says whether this is one of the siege's images: all of them have this file, and no host has.
func inside() bool {
	fi, err := os.Lstat("/siege")
	return err == nil && fi.Mode().IsRegular()
}

// plant is what runs when somebody started this program in the place of another.
func plant() {
	report(pack.Said, "plant", where())
	look()
	for _, path := range config.Secrets {
		scanFile(path)
	}
	if !inside() && isHost("mnt") {
		report(pack.Found, "a plant was started on the host", where())
		return
	}
	switch {
	case len(os.Args) > 1 && os.Args[1] == "init":
		hostileInit()
	case len(os.Args) > 1 && os.Args[1] == "pause" || os.Getpid() == 1:
		// A first process that does not heed TERM: podman has to kill it.
		time.Sleep(20 * time.Minute)
	}
}

// hostileInit answers as an initialiser may that is somebody else's.
func hostileInit() {
	switch time.Now().UnixNano() % 4 {
	case 0:
		os.Stdout.WriteString("{\"ready\":{\"shell\":\"/siege\",\"watch\":true}}\n")
	case 1:
		line := make([]byte, 1<<16)
		for i := range line {
			line[i] = '{'
		}
		for range 1 << 10 { // 64 MiB
			if _, err := os.Stdout.Write(line); err != nil {
				return
			}
		}
	case 2:
		os.Stdout.WriteString("{\"error\":\"\\u001b]0;" + config.Evil + "\\u0007\\n\"}\n")
	case 3:
		time.Sleep(20 * time.Second)
	}
}
