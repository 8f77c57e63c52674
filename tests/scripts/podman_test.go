package scripts_test

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fakePodman is podman's service, answering with what was recorded of a real
// one: GET .../libpod/containers/json is the file containers/json.json below the
// directory $ANSWERS, and what is not there is podman's 404. It says that it
// speaks $API. A script puts it on PATH as podman:
//
//	#!/bin/sh
//	exec podman-fake "$@"
func fakePodman(args []string) error {
	if len(args) < 2 || args[0] != "system" || args[1] != "service" || os.Getenv("LISTEN_FDS") != "1" {
		return errors.New("podman-fake: only system service with a socket is here, not " + strings.Join(args, " "))
	}
	socket, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	answers := os.Getenv("ANSWERS")
	go endWith(os.Getenv("WORK"))
	return http.Serve(socket, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Libpod-API-Version", os.Getenv("API"))
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			return
		}
		_, path, _ := strings.Cut(r.URL.Path, "/libpod/")
		data, err := os.ReadFile(filepath.Join(answers, filepath.Clean("/"+path)) + ".json")
		if errors.Is(err, fs.ErrNotExist) {
			w.WriteHeader(http.StatusNotFound)
			data = []byte(`{"cause":"no such object","message":"no such object","response":404}`)
		}
		w.Write(data)
	}))
}

// endWith ends the service when its script has ended: testscript removes the
// script's directory, and would not find a process that made itself a daemon.
func endWith(dir string) {
	for {
		if _, err := os.Stat(dir); err != nil {
			os.Exit(0)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
