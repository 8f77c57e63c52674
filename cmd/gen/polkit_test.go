package main

import (
	"os"
	"testing"
)

func TestPolkitPolicyIsOfTheTable(t *testing.T) {
	data, err := os.ReadFile(polkitFile(root))
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != polkitPolicy() {
		t.Error("packaging/polkit/dev.tbx.host.policy is not that of the table of verbs; run: go generate ./cmd/gen")
	}
}
