"""An AWS of our own for the suites aws and aws_node: moto as a proxy that answers in the place of AWS's addresses, so that Debian's
aws command and the scripts of config/aws run as they stand. AWS_TOOLS names the environment that has moto and cfn-lint
(scripts/test.sh makes it). Ended with the run."""

import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

from harness import ROOT, Failure, Skip, at_end, check, equal, fresh_dir

CONFIG = os.path.join(ROOT, "config", "aws")
REGION = "us-east-1"
IMAGE = "/test/image"  # moto knows Amazon's public parameters, not Debian's
PACKAGE = b"a package"
AWS = "/usr/bin/aws"   # Debian's, as the nodes have it
WAIT_SECONDS = 60


def tool(name):
    path = os.path.join(os.environ.get("AWS_TOOLS", ""), "bin", name)
    if not os.environ.get("AWS_TOOLS") or not os.access(path, os.X_OK):
        raise Skip(f"{name} is not there (AWS_TOOLS names no environment with it)")
    return path


def library(name):
    """A Python package of that environment, for which this Python made it."""
    tool("python")
    for path in glob.glob(os.path.join(os.environ["AWS_TOOLS"], "lib", "python3*", "site-packages")):
        if path not in sys.path:
            sys.path.append(path)
    return __import__(name)


def template(name):
    """A template as plain values; !Ref x is {"Ref": x}, !GetAtt x is {"Fn::GetAtt": x}, ..."""
    yaml = library("yaml")

    class Loader(yaml.SafeLoader):
        pass

    def tag(loader, suffix, node):
        kind = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: lambda n: loader.construct_sequence(n, deep=True),
                yaml.MappingNode: lambda n: loader.construct_mapping(n, deep=True)}[type(node)]
        return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": kind(node)}

    Loader.add_multi_constructor("!", tag)
    with open(os.path.join(CONFIG, name), encoding="utf-8") as file:
        return yaml.load(file, Loader)


def templates():
    return {os.path.basename(path): template(os.path.basename(path)) for path in sorted(glob.glob(os.path.join(CONFIG, "*.yaml")))}


def resources(kind):
    """(template, name, resource) of a type, over all templates."""
    return [(name, key, value) for name, body in templates().items() for key, value in body["Resources"].items() if value["Type"] == kind]


class Cloud:
    """One account, empty but for an image, and a bucket with a package."""

    def __init__(self):
        proxy = tool("moto_proxy")
        check(os.access(AWS, os.X_OK), f"{AWS} is not there: apt-get install awscli")
        boto3 = library("boto3")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.directory = fresh_dir("aws")
        self.log_path = os.path.join(self.directory, "moto.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([proxy, "-H", "127.0.0.1", "-p", str(self.port)], stdout=log, stderr=log,
                                            env={**os.environ, "PYTHONUNBUFFERED": "1"})
        at_end.append(self.close)
        self.authority = os.path.join(os.path.dirname(library("moto").__file__), "moto_proxy", "ca.crt")
        self.environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": "",
                            "HTTPS_PROXY": f"http://127.0.0.1:{self.port}", "AWS_CA_BUNDLE": self.authority}
        config = library("botocore.config").config.Config(proxies={"https": self.environment["HTTPS_PROXY"]}, retries={"max_attempts": 1})
        session = boto3.Session("test", "test", region_name=REGION)
        self._client = lambda name: session.client(name, config=config, verify=self.authority)
        self._clients = {}
        self._wait()
        self.client("ssm").put_parameter(Name=IMAGE, Type="String", Value=self.client("ec2").describe_images()["Images"][0]["ImageId"])
        self.client("s3").create_bucket(Bucket="packages")
        self.client("s3").put_object(Bucket="packages", Key="adtrack.deb", Body=PACKAGE)

    def _wait(self):
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failure(f"moto does not listen: {self.log()[-1000:]}") from error
                time.sleep(0.1)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def client(self, name):
        if name not in self._clients:
            self._clients[name] = self._client(name)
        return self._clients[name]

    def command(self, *arguments):
        """The aws command, as a person types it."""
        run = subprocess.run([AWS, *arguments], env={"PATH": "/usr/bin:/bin", "HOME": self.directory, **self.environment}, cwd=CONFIG,
                             capture_output=True, text=True, timeout=300, check=False)
        equal(run.returncode, 0, f"exit code of aws {' '.join(arguments)}: {run.stdout[-500:]} {run.stderr[-1500:]}; {self.log()[-1500:]}")
        return run.stdout

    def packaged(self):
        """What `aws cloudformation package` makes of the templates; once."""
        path = os.path.join(self.directory, "packaged.yaml")
        if not os.path.exists(path):
            self.command("cloudformation", "package", "--template-file", "adtrack.yaml", "--s3-bucket", "packages", "--output-template-file", path)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            check(text.count("https://s3") == 8, f"all parts are in the bucket: {text.count('https://s3')}")
            with open(path, "w", encoding="utf-8") as file:
                file.write(re.sub(r"/aws/service/debian/\S+", IMAGE, text))
        return path

    def deploy(self, name, **parameters):
        """A stack by the commands of config/aws/README.md; (its status and its parts' by name)."""
        parameters = {"ImageId": IMAGE, "PackageBucket": "packages", "PackageKey": "adtrack.deb",
                      "PackageSha256": library("hashlib").sha256(PACKAGE).hexdigest(), **parameters}
        self.command("cloudformation", "deploy", "--template-file", self.packaged(), "--stack-name", name, "--s3-bucket", "packages",
                     "--capabilities", "CAPABILITY_IAM", "--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items()))
        return self.statuses(name)

    def statuses(self, name):
        stacks = self.client("cloudformation").describe_stacks()["Stacks"]
        return {re.sub(r"-[A-Z0-9]{12}$", "", stack["StackName"]): stack["StackStatus"] for stack in stacks
                if stack["StackName"] == name or stack["StackName"].startswith(name + "-")}

    def exports(self, name):
        return {export["Name"][len(name) + 1:]: export["Value"] for export in self.client("cloudformation").list_exports()["Exports"]
                if export["Name"].startswith(name + "-")}

    def certificate(self):
        return self.client("acm").request_certificate(DomainName="ads.example")["CertificateArn"]

    def launch_template(self, name, number):
        """The data of a node's launch template."""
        group = self.group(name, number)
        versions = self.client("ec2").describe_launch_template_versions(LaunchTemplateId=group["LaunchTemplate"]["LaunchTemplateId"])
        return versions["LaunchTemplateVersions"][-1]["LaunchTemplateData"]

    def group(self, name, number):
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[f"{name}-node-{number}"])["AutoScalingGroups"]
        equal(len(groups), 1, f"groups of node {number}")
        return groups[0]

    def volume(self, volume):
        return self.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]


def lint(*arguments):
    run = subprocess.run([tool("cfn-lint"), "--format", "json", *arguments], capture_output=True, text=True, timeout=300, check=False)
    try:
        return json.loads(run.stdout or "[]"), run.returncode
    except ValueError as error:
        raise Failure(f"cfn-lint says no JSON: {run.stdout[-500:]} {run.stderr[-500:]}") from error


def shell_clean(path):
    if shutil.which("shellcheck") is None:
        raise Skip("shellcheck is not there")
    run = subprocess.run(["shellcheck", path], capture_output=True, text=True, timeout=60, check=False)
    equal(run.returncode, 0, f"shellcheck of what a node runs: {run.stdout[-2000:]}")
