// Package repository tests the documentation: the record of the Go API, doc comments, examples and Markdown
// files. It is a module of its own so that users of the library do not inherit a Markdown parser and a
// loader of packages.
package repository
