package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// documentTables are the tables of documents that are made of the code, by the document.
func documentTables() map[string]func() string {
	all := exitTables()
	maps.Copy(all, integrationTables())
	maps.Copy(all, declarationTables())
	return all
}

// withTable puts a table into a document, in place of the one with the same head.
func withTable(text, table string) (string, error) {
	head, _, _ := strings.Cut(table, "\n")
	before, old, found := strings.Cut(text, head+"\n")
	if !found {
		return "", fmt.Errorf("no table begins with %q", head)
	}
	_, after, _ := strings.Cut(old, "\n\n")
	return before + table + "\n" + after, nil
}

// writeTables brings the tables of documents up to date.
func writeTables(root string) error {
	tables := documentTables()
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		file := filepath.Join(root, name)
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		now, err := withTable(string(text), tables[name]())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			return err
		}
	}
	return nil
}
