// Owner is the siege's side on the host: the user to whom the toolboxes belong, and an observer. It makes isolated
// toolboxes with the adversary in them, uses them at random as people do (run, enter, stop, start, rename, make anew,
// answer questions, upgrade tbx), and compares what the adversary has read and changed with what it was given.
//
// Findings are printed with the seed and what was done last. The same seed takes the same decisions on both sides; how
// they fall together in time is the machine's. Exit code 1: something was found; 2: usage; 5: the siege could not be laid.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

type options struct {
	minutes   float64
	seed      uint64
	as        string
	adversary string
	base      string
	bins      []string
	acts      string
	only      string
	journal   string
}

func main() {
	var o options
	flag.Float64Var(&o.minutes, "minutes", 3, "how long")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of all decisions")
	flag.StringVar(&o.as, "as", "both", "what the adversary is inside: user, root or both")
	flag.StringVar(&o.adversary, "adversary", "", "the adversary's program")
	flag.StringVar(&o.base, "image", "", "tar of the image that it is put into")
	flag.StringVar(&o.acts, "acts", "", "only acts of the owner with this word in their name")
	flag.StringVar(&o.only, "only", "", "only attempts of the adversary with this word in their name")
	flag.StringVar(&o.journal, "journal", "", "file for all that was done")
	flag.Parse()
	o.bins = flag.Args()
	if o.adversary == "" || o.base == "" || len(o.bins) == 0 || (o.as != "user" && o.as != "root" && o.as != "both") {
		fmt.Fprintln(os.Stderr, "usage: owner [-minutes N] [-seed N] [-as user|root|both] -adversary FILE -image TAR DIRECTORY-OF-TBX...")
		os.Exit(2)
	}
	os.Exit(lay(&o))
}

// lay runs one siege and returns the exit code.
func lay(o *options) int {
	keyring()
	fmt.Printf("siege: seed %d, %.1f minutes, adversary as %s, %s\n", o.seed, o.minutes, o.as, podmanVersion())
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	s := &siege{options: o, rand: rand.New(rand.NewPCG(o.seed, 0)), log: newLog(o.seed, o.journal), bin: o.bins[0]}
	defer s.clear()
	if err := s.prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "siege: cannot be laid:", err)
		return 5
	}
	s.control(ctx)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.minutes*float64(time.Minute)))
	defer cancel()
	for _, b := range s.boxes {
		s.create(b, "clean")
	}
	s.besiege(ctx)
	for ctx.Err() == nil {
		s.act(ctx)
		s.observe()
	}
	s.sessions.Wait()
	s.observe()
	s.end()
	return s.log.summary()
}
