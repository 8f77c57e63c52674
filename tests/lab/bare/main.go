// Command bare is the only file of the lab's image without shell and libc: what a toolbox can do there has to work for
// a lone static program. It says who it is, or does one thing that a test can check.
//
//	bare                 print "uid=U gid=G cwd=D" and its arguments
//	bare exit N          exit with code N
//	bare env NAME        print the value of NAME
//	bare cat             copy standard input to standard output
//	bare read FILE       print FILE
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	verb, arg := "", ""
	if len(args) > 1 {
		verb = args[1]
	}
	if len(args) > 2 {
		arg = args[2]
	}
	switch verb {
	case "exit":
		code, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		os.Exit(code)
	case "env":
		fmt.Println(os.Getenv(arg))
	case "cat":
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	case "read":
		data, err := os.ReadFile(arg)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(data)
		return err
	default:
		cwd, err := os.Getwd()
		if err != nil {
			return err
		}
		fmt.Printf("uid=%d gid=%d cwd=%s %q\n", os.Getuid(), os.Getgid(), cwd, args)
	}
	return nil
}
