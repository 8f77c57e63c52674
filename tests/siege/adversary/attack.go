package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/tests/siege/pack"
)

// attempt is one thing that is tried. It is run in a process of its own, which is ended after attemptTime, and draws
// from a generator of its own, so that a seed gives the same attempts whatever becomes of each.
type attempt struct {
	name   string
	weight int
	do     func(r *rand.Rand)
}

const attemptTime = 20 * time.Second

func attempts() []attempt {
	return []attempt{
		{"mounts", 4, mounts},
		{"remount", 3, remounts},
		{"namespaces", 3, namespaces},
		{"calls", 4, calls},
		{"keys", 2, func(*rand.Rand) { keys() }},
		{"sockets", 3, func(r *rand.Rand) { families(r); listeners() }},
		{"processes", 3, func(*rand.Rand) { processes() }},
		{"devices", 2, devices},
		{"walk", 3, walk},
		{"link target", 10, linkTarget},
		{"plant", 8, plants},
		{"plan", 4, plan},
		{"leave link", 4, leaveLink},
		{"move tbx", 3, moveTbx},
		{"image", 3, spoilImage},
		{"home", 4, spoilHome},
		{"bridge", 6, bridge},
		{"bridge flood", 2, bridgeFlood},
		{"exchange", 6, exchange},
		{"forks", 1, forks},
		{"memory", 1, memory},
		{"signal first", 1, signalFirst},
		{"signals", 2, signals},
		{"shares", 5, shares},
		{"setuid", 2, setuid},
		{"write kernel", 2, writeKernel},
	}
}

// attack makes so many attempts.
func attack(seed uint64, steps int, only string) {
	r := rand.New(rand.NewPCG(seed, 1))
	all := attempts()
	sum := 0
	for _, a := range all {
		sum += a.weight
	}
	for i := range steps {
		n, which := r.IntN(sum), 0
		for n >= all[which].weight {
			n -= all[which].weight
			which++
		}
		own, pause := r.Uint64(), time.Duration(r.IntN(200))*time.Millisecond
		if only != "" && !strings.Contains(all[which].name, only) {
			continue
		}
		report(pack.Op, all[which].name, fmt.Sprintf("step %d, seed %d", i, own))
		ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
		cmd := exec.CommandContext(ctx, "/proc/self/exe", "child", all[which].name, strconv.FormatUint(own, 10))
		cmd.Args[0] = "siege"
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.WaitDelay = time.Second
		cmd.Run()
		cancel()
		time.Sleep(pause)
	}
}

// child is the process of one attempt.
func child(args []string) {
	if len(args) != 2 {
		os.Exit(2)
	}
	seed, _ := strconv.ParseUint(args[1], 10, 64)
	for _, a := range attempts() {
		if a.name == args[0] {
			a.do(rand.New(rand.NewPCG(seed, 2)))
		}
	}
	look() // it may have won something
	lookAtShares()
}

func pick[T any](r *rand.Rand, all []T) (none T) {
	if len(all) == 0 {
		return none
	}
	return all[r.IntN(len(all))]
}
