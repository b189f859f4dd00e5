module github.com/tagtrust/tagtrust/ffi/go

go 1.19
