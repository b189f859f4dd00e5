"""AdmissionReview documents with all the fields that a Kubernetes 1.3x API server sends."""

import copy
import uuid

RESOURCES = {
    "Pod": ("", "v1", "pods", ("spec",)),
    "PodTemplate": ("", "v1", "podtemplates", ("template", "spec")),
    "ReplicationController": ("", "v1", "replicationcontrollers", ("spec", "template", "spec")),
    "Deployment": ("apps", "v1", "deployments", ("spec", "template", "spec")),
    "StatefulSet": ("apps", "v1", "statefulsets", ("spec", "template", "spec")),
    "DaemonSet": ("apps", "v1", "daemonsets", ("spec", "template", "spec")),
    "ReplicaSet": ("apps", "v1", "replicasets", ("spec", "template", "spec")),
    "Job": ("batch", "v1", "jobs", ("spec", "template", "spec")),
    "CronJob": ("batch", "v1", "cronjobs", ("spec", "jobTemplate", "spec", "template", "spec")),
}
ABOUT = {
    "spec": {
        "Deployment": {
            "replicas": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
        },
        "StatefulSet": {"replicas": 1, "serviceName": "app", "podManagementPolicy": "OrderedReady"},
        "DaemonSet": {
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
        },
        "Job": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
        },
        "CronJob": {"schedule": "*/5 * * * *", "concurrencyPolicy": "Allow", "suspend": False},
    }
}


def container(name, image, **more):
    return {
        "name": name,
        "image": image,
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": "image", "value": "registry.example/not/an-image:1"}],
        "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "volumeMounts": [
            {
                "name": "kube-api-access-x7k2p",
                "readOnly": True,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            }
        ],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    } | more


def pod_spec(image, init=(), ephemeral=(), volumes=()):
    """`image`: of the container `app`. The others: images."""
    spec = {
        "volumes": [
            {
                "name": "kube-api-access-x7k2p",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    ],
                    "defaultMode": 420,
                },
            },
            *(
                {"name": f"image-{number}", "image": {"reference": reference, "pullPolicy": "IfNotPresent"}}
                for number, reference in enumerate(volumes)
            ),
        ],
        "containers": [container("app", image)],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {
                "key": "node.kubernetes.io/not-ready",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    if init:
        spec["initContainers"] = [container(f"init-{number}", image) for number, image in enumerate(init)]
    if ephemeral:
        debug = {"stdin": True, "tty": True, "targetContainerName": "app"}
        spec["ephemeralContainers"] = [
            container(f"debugger-{number}", image, **debug) for number, image in enumerate(ephemeral)
        ]
    return spec


def metadata(name, namespace):
    return {
        "name": name,
        "generateName": f"{name}-",
        "namespace": namespace,
        "uid": "3f3ac7bd-58c9-44d5-b2f5-8d8a1f4f3a0e",
        "creationTimestamp": "2026-11-20T09:18:12Z",
        "labels": {"app": "app", "pod-template-hash": "6d4cf56db6"},
        "annotations": {"image": "registry.example/not/an-image:2"},
        "managedFields": [
            {
                "manager": "kubectl-client-side-apply",
                "operation": "Update",
                "apiVersion": "v1",
                "time": "2026-11-20T09:18:12Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:containers": {'k:{"name":"app"}': {".": {}, "f:image": {}, "f:name": {}}}}},
            }
        ],
    }


def made(kind, spec, namespace="team"):
    """An object whose Pods have that specification."""
    group, version, _, path = RESOURCES[kind]
    for number, name in reversed(list(enumerate(path))):
        if number == 0 and name == "spec":
            break
        inner = {"creationTimestamp": None, "labels": {"app": "app"}}
        spec = {name: spec} if name != "spec" else {"spec": spec, "metadata": inner}
    obj = {
        "kind": kind,
        "apiVersion": f"{group}/{version}".strip("/"),
        "metadata": metadata("app", namespace),
        "status": {"phase": "Pending", "qosClass": "Burstable"} if kind == "Pod" else {},
    }
    if path[0] == "template":
        return obj | spec
    return obj | {"spec": ABOUT["spec"].get(kind, {}) | spec}


def spec_of(obj):
    """The specification of its Pods, to look at or to change."""
    for name in RESOURCES[obj["kind"]][3]:
        obj = obj[name]
    return obj


def review(obj, old=None, operation=None, subresource=None, dry_run=False, namespace="team", **request):
    """What the API server posts."""
    group, version, resource, _ = RESOURCES[(obj or old)["kind"]]
    kind = {"group": group, "version": version, "kind": (obj or old)["kind"]}
    resource = {"group": group, "version": version, "resource": resource}
    operation = operation or ("UPDATE" if old else "CREATE")
    options = {"kind": f"{operation.capitalize()}Options", "apiVersion": "meta.k8s.io/v1"}
    sub = {"subResource": subresource, "requestSubResource": subresource} if subresource else {}
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            **sub,
            "name": "app",
            "namespace": namespace,
            "operation": operation,
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "1a28b2f5-75bc-4c0d-921c-2adc9520ace1",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
                "extra": {"authentication.kubernetes.io/credential-id": ["JTI=7ee52be0-9045-4653-aa5e-0da57b8dccdc"]},
            },
            "object": copy.deepcopy(obj),
            "oldObject": copy.deepcopy(old),
            "dryRun": dry_run,
            "options": options | {"fieldManager": "kube-controller-manager", "fieldValidation": "Strict"},
            **request,
        },
    }


def patched(obj, patch):
    """RFC 6902, as far as it is used: each place is there, and only replaced."""
    obj = copy.deepcopy(obj)
    for operation in patch:
        assert set(operation) == {"op", "path", "value"} and operation["op"] == "replace"
        *way, last = operation["path"].removeprefix("/").split("/")
        place = obj
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        assert isinstance(place[last], str)
        place[last] = operation["value"]
    return obj
