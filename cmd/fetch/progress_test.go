package fetch

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/images"
)

func TestDownloadElsewhereThanOnATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d := New(cli.NewEnv(nil, nil, file, nil)).NewDisplay()
	d.expected = 40e6
	now := time.Now()
	at := func(seconds int, layer, text string, done, total int64) {
		d.at(now.Add(time.Duration(seconds)*time.Second), images.Event{Stage: images.StageDownload, Layer: layer, Text: text, Done: done, Total: total})
	}
	at(0, "aaa", "", 0, 0)
	at(1, "aaa", "", 1e6, 10e6)
	at(6, "bbb", "", 1e6, 20e6)
	at(11, "bbb", "", 11e6, 20e6) // 10 MB in the last 5 seconds
	at(12, "aaa", "Download complete", 10e6, 10e6)
	at(13, "aaa", "Download complete", 10e6, 10e6)
	at(14, "ccc", "Already exists", 0, 0)
	at(30, "bbb", "", 20e6, 20e6)
	d.at(now.Add(31*time.Second), images.Event{Stage: images.StageUnpack})
	at(32, "bbb", "Download complete", 20e6, 20e6) // while the last ones are unpacked
	d.env.Progress().Close()
	got, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := "tbx: downloading the image: 12.0 MB of 40.0 MB, 2.0 MB/s, 14s left\n" +
		"tbx: layer aaa: 10.0 MB, download complete\n" +
		"tbx: layer ccc: already exists\n" +
		"tbx: downloading the image: 30.0 MB of 40.0 MB, 562.5 kB/s, 18s left\n" +
		"tbx: layer bbb: 20.0 MB, download complete\n"
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestLinesOfLayers(t *testing.T) {
	d := &Display{}
	for i, done := range []int64{0, 5, 10, 1, 2, 3, 4} {
		d.layers = append(d.layers, images.Event{Layer: string(rune('a' + i)), Done: done, Total: 10})
	}
	d.layers[2].Text = "Download complete"
	want := []string{
		"  a             ....................  0 B of 10 B",
		"  b             ##########..........  5 B of 10 B",
		"  d             ##..................  1 B of 10 B",
		"  e             ####................  2 B of 10 B",
		"  f             ######..............  3 B of 10 B",
		"  and 1 more",
	}
	got := d.lines()
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}
