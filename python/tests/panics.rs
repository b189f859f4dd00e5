//! A panic in core is `InternalError` in Python too, and the next call works.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

const PROGRAM: &str = r#"
import sys
import tagtrust

PANICS = "registry.example/team/tagtrust-test-panic"
FINE = "registry.example/team/app"
client = tagtrust.Client(server="http://127.0.0.1:1", trust_dir=sys.argv[1])  # nobody listens there


def raised(cls, call, *arguments):
    try:
        call(*arguments)
    except cls as error:
        return str(error)
    sys.exit(f"{call} raised nothing")


for _ in range(2):
    for call, argument in ((client.verify, PANICS + ":1"), (client.verify_many, [FINE + ":1", PANICS + ":1"])):
        assert raised(tagtrust.InternalError, call, argument).startswith("internal error: "), call
        raised(tagtrust.Unreachable, client.verify, FINE + ":1")
    message = raised(tagtrust.InternalError, tagtrust.TrustedSet, PANICS, b"{}")
    assert message == "internal error: a test asked for this panic", message
    raised(tagtrust.Tampered, tagtrust.TrustedSet, FINE, b"{}")
print("done")
"#;

#[test]
fn a_panic_in_core_is_an_exception_and_the_next_call_works() {
    let directory = env::temp_dir().join(format!("tagtrust-python-panics-{}", std::process::id()));
    let package = directory.join("tagtrust");
    fs::create_dir_all(&package).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tagtrust")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "py") {
            fs::copy(&file, package.join(file.file_name().unwrap())).unwrap();
        }
    }
    // Cargo puts what is tested beside the test.
    let built = env::current_exe().unwrap().with_file_name(format!("{DLL_PREFIX}_tagtrust{DLL_SUFFIX}"));
    fs::copy(&built, package.join("_tagtrust.abi3.so")).unwrap();

    let run = Command::new("python3")
        .args(["-I", "-c"])
        .arg(format!("import sys; sys.path.insert(0, {:?}){PROGRAM}", directory.to_str().unwrap()))
        .arg(directory.join("trust"))
        .output()
        .unwrap();
    fs::remove_dir_all(&directory).unwrap();
    let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said == "done\n", "{said}{complained}");
    assert!(complained.contains("a test asked for this panic"), "{complained}");
}
