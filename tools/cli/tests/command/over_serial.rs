//! The ESP32-C3, whose flash espflash writes: a stand-in for that program, which notes what it is asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::Workbench;

/// A directory with an image, and the stand-in in a folder of its own.
fn workbench(exit_code: u8) -> Workbench {
    let bench = Workbench::new();
    bench.convert_digits();
    fs::create_dir(bench.path("programs")).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version) exit 0 ;; esac\necho \"$@\" >> log.txt\nexit {exit_code}\n"
    );
    let program = bench.file("programs/espflash", script);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    bench
}

/// Runs `fixie` with the stand-in as the only program that is found.
fn run(bench: &Workbench, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = bench.fixie(arguments.iter().copied());
    command.env("PATH", bench.path("programs")).assert()
}

/// What is said on standard error, in one line.
fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_image_goes_to_its_own_part_of_flash() {
    let bench = workbench(0);
    let flash = ["flash", "digits.fixie", "--chip", "esp32-c3"];
    let output = run(&bench, &flash).success().get_output().clone();
    assert!(String::from_utf8(output.stdout).unwrap().contains("0x00200000, verified"));
    run(&bench, &[&flash[..], &["--probe", "/dev/ttyUSB0", "--monitor"]].concat()).success();
    let log = fs::read_to_string(bench.path("log.txt")).unwrap();
    assert_eq!(
        log.lines().collect::<Vec<_>>(),
        [
            "write-bin --chip esp32c3 0x200000 digits.fixie",
            "write-bin --chip esp32c3 --port /dev/ttyUSB0 0x200000 digits.fixie",
            "monitor --chip esp32c3 --port /dev/ttyUSB0",
        ]
    );
}

#[test]
fn what_cannot_be_flashed_is_said_before_anything_is_written() {
    let bench = workbench(0);
    let flash = ["flash", "digits.fixie", "--chip", "esp32-c3"];
    let moved = run(&bench, &[&flash[..], &["--address", "0x10000"]].concat()).code(1);
    assert!(stderr(&moved).contains("reads the image from 0x200000"), "{}", stderr(&moved));
    bench.file("text.fixie", "text");
    run(&bench, &["flash", "text.fixie", "--chip", "esp32-c3"]).code(1);
    let measured = run(&bench, &["bench", "digits.fixie", "--chip", "esp32-c3"]).code(1);
    assert!(stderr(&measured).contains("--chip esp32-c3 --app bench --monitor"));
    assert!(!bench.path("log.txt").exists(), "espflash was started");
}

#[test]
fn without_espflash_its_commands_are_told() {
    let bench = workbench(0);
    fs::remove_file(bench.path("programs/espflash")).unwrap();
    let text = stderr(&run(&bench, &["flash", "digits.fixie", "--chip", "esp32-c3"]).code(1));
    for part in [
        "espflash, which writes the flash of esp32c3",
        "cargo install espflash --locked",
        "espflash write-bin --chip esp32c3 0x200000 digits.fixie",
        "espflash flash --chip esp32c3 FIRMWARE.elf",
        "espflash monitor --log-format defmt --chip esp32c3 --elf FIRMWARE.elf",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn an_espflash_that_fails() {
    let bench = workbench(1);
    let text = stderr(&run(&bench, &["flash", "digits.fixie", "--chip", "esp32-c3"]).code(1));
    for part in ["`espflash write-bin --chip esp32c3", "exit status: 1", "dialout", "list-ports"] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

/// The firmware is built and checked before the image is written.
#[test]
#[ignore = "builds firmware: `cargo xtask test --only emulated`"]
fn firmware_follows_the_image() {
    let bench = workbench(0);
    let path = std::env::join_paths(
        [bench.path("programs")]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut command =
        bench.fixie(["flash", "digits.fixie", "--chip", "esp32-c3", "--app", "bench"]);
    command.arg("--monitor").env("PATH", path.unwrap()).assert().success();
    let log = fs::read_to_string(bench.path("log.txt")).unwrap();
    let commands: Vec<_> = log.lines().collect();
    let [image, firmware, monitor] = commands[..] else { panic!("{log}") };
    assert_eq!(image, "write-bin --chip esp32c3 0x200000 digits.fixie");
    let elf = firmware.strip_prefix("flash --chip esp32c3 ").unwrap();
    assert_eq!(monitor, format!("monitor --log-format defmt --chip esp32c3 --elf {elf}"));
}
