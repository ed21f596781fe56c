module maesh.dev/test/interop

go 1.24.0
