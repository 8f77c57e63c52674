package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTablesOfDocuments(t *testing.T) {
	for name, table := range documentTables() {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if now, err := withTable(string(data), table()); err != nil || now != string(data) {
			t.Errorf("the table in %s is not the one in the code (%v); run: go generate ./cmd/gen", name, err)
		}
	}
}
